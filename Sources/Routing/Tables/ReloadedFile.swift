// Owns: content read from a file, and reading it again when the file changes. Refuses: half a file: new content is
// taken whole or not at all. What the content is (FileTable, DatabaseTable).

import Synchronization

/// Each use looks at the file's status (some microseconds) and reads it again when device, time, size or inode changed.
/// Content that is malformed, or a file that can't be read any more, leaves the last good content in use and is
/// reported once for each change.
final class ReloadedFile<Content: Sendable>: Sendable {
    typealias Read = @Sendable () throws -> (Content, TextFile.Stamp)

    private let path: String
    private let table: String
    private let read: Read
    private let report: @Sendable (String) -> Void
    private let state: Mutex<State>

    private struct State {
        var content: Content
        /// Of the file last read, good or bad; nil after it could not be had at all.
        var stamp: TextFile.Stamp?
    }

    /// - Parameters:
    ///   - read: the content of the file as it is now, with the stamp it had when opened.
    ///   - report: takes a sentence for the log when a reload fails.
    /// - Throws: why the file can't be used now; only later changes are forgiven.
    init(
        path: String, table: String, report: @escaping @Sendable (String) -> Void, read: @escaping Read
    ) throws(ConfigurationError) {
        (self.path, self.table, self.report, self.read) = (path, table, report, read)
        do {
            let (content, stamp) = try read()
            state = Mutex(State(content: content, stamp: stamp))
        } catch let error as ConfigurationError {
            throw error
        } catch {
            let reason = (error as? UnreadableFile)?.reason ?? "\(error)"
            throw ConfigurationError(file: path, message: "cannot read table \(table): \(reason)")
        }
    }

    func current() -> Content {
        var complaint: String?
        let content = state.withLock { state in
            complaint = refresh(&state)
            return state.content
        }
        // Outside the lock: whoever takes the report may look something up itself.
        if let complaint { report("\(complaint) The former content of table \(table) stays in use.") }
        return content
    }

    /// What went wrong, when something new did.
    private func refresh(_ state: inout State) -> String? {
        let stamp: TextFile.Stamp
        do { stamp = try TextFile.stamp(path) } catch {
            defer { state.stamp = nil }
            return state.stamp == nil ? nil : "\(path): cannot read the table: \(error.reason)"
        }
        guard stamp != state.stamp else { return nil }
        state.stamp = stamp
        do {
            (state.content, state.stamp) = try read()
            return nil
        } catch let error as ConfigurationError {
            return error.line > 0 ? "\(path):\(error.line): \(error.message)" : "\(path): \(error.message)"
        } catch {
            return "\(path): cannot read the table: \((error as? UnreadableFile)?.reason ?? "\(error)")"
        }
    }
}
