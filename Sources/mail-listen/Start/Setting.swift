// Owns: what a start reads: the configuration, its tables, the machine's names. Refuses: the grammar (Routing), the
// spool.

import CommandKit
import Logging
import Routing

/// A configuration that is ready to serve.
struct Setting: Sendable {
    let configuration: Configuration
    let router: Router
    /// As `EnvironmentFacts.localNames()` gives them; the first names a listener without `hostname`.
    let localNames: [String]

    /// - Throws: status 78, after the place in the file was shown on stderr.
    init(file: String?, log: LogBuffer) throws(QuietExit) {
        let logger = log.logger
        do throws(ConfigurationError) {
            (configuration, _) = try Configuration.locate(option: file)
            let tables = try TableSet(opening: configuration) { logger.warning("\($0)") }
            localNames = EnvironmentFacts.localNames()
            router = Router(configuration: configuration, tables: tables, localNames: localNames)
        } catch {
            Diagnostic.print(lines: error.lines)
            throw QuietExit(.configuration)
        }
    }

    /// Names the configuration in a sentence.
    var name: String { configuration.path ?? "the built-in configuration" }
}
