// Owns: folders, files and spools of tests. Refuses: judging.

import Glibc
import Testing

@testable import CommandKit
@testable import KeyKit
@testable import QueueKit
@testable import Routing

/// A folder that goes with the test.
final class Folder {
    let path: String

    init() throws { path = try #require(mkdtemp(strdup("/tmp/pouch-keykit.XXXXXX")).map { String(cString: $0) }) }

    deinit { remove(path) }

    private func remove(_ path: String) {
        guard let directory = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(directory)
        for name in names where unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
        rmdir(path)
    }

    @discardableResult
    func file(_ name: String, _ text: String, mode: UInt32 = 0o600) -> String {
        let file = "\(path)/\(name)"
        if let stream = fopen(file, "w") {
            _ = text.utf8.withContiguousStorageIfAvailable { fwrite($0.baseAddress, 1, $0.count, stream) }
            fclose(stream)
        }
        chmod(file, mode)
        return file
    }
}

extension Secret {
    convenience init(_ text: String) {
        var bytes = Array(text.utf8)
        self.init(wiping: &bytes)
    }

    var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }
}

/// A reading end that gives this text.
func pipe(_ text: String) -> Int32 {
    var ends: [Int32] = [-1, -1]
    _ = Glibc.pipe(&ends)
    var text = text
    text.withUTF8 { _ = write(ends[1], $0.baseAddress, $0.count) }
    close(ends[1])
    return ends[0]
}

/// A configuration with a spool in a folder; its submit.conf too.
struct TestSpool {
    let folder = try? Folder()
    var layout: SpoolLayout { SpoolLayout(root: "\(folder?.path ?? "")/spool") }

    func configuration(_ lines: String...) throws -> Configuration {
        let text = (["queue directory \"\(layout.root)\""] + lines).joined(separator: "\n")
        return try Configuration.parse(
            text: text, path: "\(folder?.path ?? "")/pouch.conf", facts: EnvironmentFacts(uid: 0)
        ) { (_: String) throws(UnreadableFile) -> String in throw UnreadableFile("none") }
    }

    /// What `mail-queue init` does.
    @discardableResult
    func prepare(_ lines: String..., checkOnly: Bool = false) throws -> KeyPreparation {
        let configuration = try configuration(lines.joined(separator: "\n"))
        if !checkOnly { try layout.create(owners: .caller) }
        let encryption = try #require(configuration.queueEncryption)
        let preparation = try KeyPreparation(
            encryption, try Passphrases(encryption, reader), layout, owners: .caller, checkOnly: checkOnly)
        if !checkOnly { submit(preparation.publicKey) }
        return preparation
    }

    func submit(_ key: PublicKey?) {
        var submit = SubmitConfiguration(spool: layout.root)
        (submit.publicKey, submit.publicKeyID) = (key?.description, key?.id.description)
        folder?.file("submit.conf", submit.render())
    }

    var reader: PassphraseReader { PassphraseReader(standardInput: nil, credentials: nil, warn: { _ in }) }

    func keys(_ lines: String..., credentials: String? = nil) throws -> QueueKeys {
        QueueKeys(try configuration(lines.joined(separator: "\n")), reader: reader, credentials: credentials)
    }
}

/// The sentence of what must fail with status 78.
func refusal<Result>(_ body: () throws -> Result) -> String {
    do {
        _ = try body()
        return "taken"
    } catch let failure as CommandFailure {
        #expect(failure.status == .configuration, "\(failure)")
        return failure.sentence
    } catch { return "\(error)" }
}
