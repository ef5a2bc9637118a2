// Owns: errors of the libraries as this program's last words. Refuses: sentences of its own.

import CommandKit
import QueueKit
import Routing

enum Failures {
    static func failure(_ error: QueueError) -> CommandFailure {
        CommandFailure(ExitStatus(rawValue: error.exitStatus) ?? .software, error.description)
    }

    static func ofQueue<Value>(_ body: () throws(QueueError) -> Value) throws(CommandFailure) -> Value {
        do throws(QueueError) { return try body() } catch { throw failure(error) }
    }

    static func ofRouting<Value>(_ body: () throws(ConfigurationError) -> Value) throws(CommandFailure) -> Value {
        do throws(ConfigurationError) { return try body() } catch {
            throw CommandFailure(.configuration, error.description)
        }
    }
}
