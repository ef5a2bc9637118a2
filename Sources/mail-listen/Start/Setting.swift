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

    /// Names the configuration in a sentence.
    var name: String { configuration.path ?? "the built-in configuration" }
}

extension Setting {
    /// - Throws: status 78, after the place in the file was shown on stderr.
    init(file: String?, bundle: [UInt8]?, log: LogBuffer) throws(QuietExit) {
        let logger = log.logger
        do throws(ConfigurationError) {
            let configuration = try Configuration.locate(option: file, bundle: bundle)
            let tables = try TableSet(opening: configuration) { logger.warning("\($0)") }
            let names = EnvironmentFacts.localNames()
            self.init(
                configuration: configuration,
                router: Router(configuration: configuration, tables: tables, localNames: names), localNames: names)
        } catch {
            Diagnostic.print(lines: error.lines)
            throw QuietExit(.configuration)
        }
    }
}
