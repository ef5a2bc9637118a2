import Glibc
import SystemPackage
import Testing

@testable import CommandKit

struct AtomicFileTests {
    private let directory: TemporaryDirectory
    private var path: String { "\(directory.path)/file" }

    init() throws { directory = try TemporaryDirectory() }

    private var content: String {
        get throws { try readAll(FileDescriptor.open(FilePath(path), .readOnly)) }
    }

    @Test func `a file is made and replaced, with its mode, whatever the umask`() throws {
        let before = Hardening.setUmask(0o077)
        defer { Hardening.setUmask(before) }
        try AtomicFile.replace(path, with: "one\n", mode: 0o644)
        try AtomicFile.replace(path, with: "two\n", mode: 0o644)
        var status = stat()
        #expect(try content == "two\n" && lstat(path, &status) == 0 && status.st_mode & 0o7777 == 0o644)
    }

    @Test func `a link is replaced, not followed`() throws {
        symlink("/nonexistent/elsewhere", path)
        try AtomicFile.replace(path, with: "here\n", mode: 0o644)
        #expect(try content == "here\n")
    }

    @Test func `no folder is 73, and what is in the way is left alone`() throws {
        let failure = #expect(throws: CommandFailure.self) {
            try AtomicFile.replace("\(directory.path)/none/file", with: "", mode: 0o644)
        }
        #expect(failure?.status == .cannotCreate)
        #expect(failure?.sentence.hasSuffix("Make its directory first.") == true)
        // rename(2) puts no file in a directory's place; the temporary file must go.
        mkdir(path, 0o755)
        defer { rmdir(path) }
        #expect(throws: CommandFailure.self) { try AtomicFile.replace(path, with: "", mode: 0o644) }
        var names: [String] = []
        let folder = try #require(opendir(directory.path))
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        #expect(names.filter { !$0.hasPrefix(".") } == ["file"])
    }
}
