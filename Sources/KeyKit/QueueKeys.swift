// Owns: which keys a program gets: those handed to it, or what the passphrase opens; and that sealers trust only the
// public key in the configuration's folder. Refuses: making keys (KeyPreparation), sealing (QueueKit).
//
//   mail-listen   --key-fd, the credential pouch-writer, or spool.key and the passphrase: its writer key alone
//   mail-relay    --key-fd, the credential pouch-private, or spool.key and the passphrase: the ring
//   mail-queue    the credential pouch-private, or spool.key and the passphrase, when its caller may read them: the ring

import CommandKit
import Glibc
import QueueKit
import Routing

/// The runner's keys: what opens the queue, and what seals its own segments.
public struct RunnerKeys: Sendable {
    /// nil when the queue was never sealed.
    public var ring: KeyRing?
    public var protection: Protection

    /// No keys, and nothing sealed.
    public static let none = RunnerKeys(ring: nil, protection: .none)
}

public struct QueueKeys {
    private let configuration: Configuration
    private let layout: SpoolLayout
    private let reader: PassphraseReader
    private let credentials: String?

    public init(
        _ configuration: Configuration, reader: PassphraseReader,
        credentials: String? = Environment.value("CREDENTIALS_DIRECTORY")
    ) {
        (self.configuration, self.reader, self.credentials) = (configuration, reader, credentials)
        layout = SpoolLayout(root: configuration.queueDirectory)
    }

    private func handed(_ part: Secret?, _ credential: String) throws(CommandFailure) -> Secret? {
        if let part { return part }
        return try HandedKeys.credential(credential, folder: credentials)
    }

    private var sealsNew: Bool { configuration.queueEncryption?.key != nil }

    // MARK: The listener

    /// How the listener's segments are written.
    ///
    /// - Parameter part: what was handed over.
    /// - Throws: 78 when the queue is to be sealed and the listener has no key for it.
    public func listenerProtection(part: Secret?) throws(CommandFailure) -> Protection {
        guard sealsNew else { return Protection(compressing: configuration.queueCompression) }
        let key: WriterKey
        if let part = try handed(part, HandedKeys.writerCredential) {
            key = try sealing { () throws(SealError) in try WriterKey(part: part) }
        } else {
            key = try ownListenerKey()
        }
        guard key.role == .listener else {
            throw CommandFailure(
                .configuration,
                "cannot seal: the writer key handed over is not the listener's. Print that one with "
                    + "mail-queue keys writer.")
        }
        return try protection(key)
    }

    /// Run by one user, the listener may open spool.key; all but its own key is gone when this returns.
    private func ownListenerKey() throws(CommandFailure) -> WriterKey {
        // Without the file the sentence is another one.
        guard [0, ENOENT].contains(spoolKeyAccess) else {
            throw CommandFailure(
                .configuration,
                "cannot seal: mail-listen has no writer key, and may not read \(SpoolKeyStore(layout).path). Start it with "
                    + "mail-supervise, or give its unit LoadCredential=\(HandedKeys.writerCredential):FILE with what "
                    + "mail-queue keys writer prints.")
        }
        guard let key = try ring()?.writerKey(.listener) else { throw noSpoolKey }
        return key
    }

    // MARK: The runner

    /// Keys and protection of the queue's runner.
    ///
    /// - Parameter part: what was handed over.
    /// - Throws: 78 when the configuration asks for keys that can't be had.
    public func runnerKeys(part: Secret?) throws(CommandFailure) -> RunnerKeys {
        let ring = try ring(part: part)
        guard sealsNew else {
            return RunnerKeys(ring: ring, protection: Protection(compressing: configuration.queueCompression))
        }
        guard let key = ring?.writerKey(.runner) else { throw noSpoolKey }
        return RunnerKeys(ring: ring, protection: try protection(key))
    }

    /// What opens the queue; nil without `queue encryption`, or with previous keys alone and no spool.key.
    public func ring(part: Secret? = nil) throws(CommandFailure) -> KeyRing? {
        guard let encryption = configuration.queueEncryption else { return nil }
        if let part = try handed(part, HandedKeys.privateCredential) {
            return try sealing { () throws(SealError) in try KeyRing(part: part) }
        }
        return try ring(try Passphrases(encryption, reader))
    }

    /// What these passphrases open.
    public func ring(_ passphrases: Passphrases) throws(CommandFailure) -> KeyRing? {
        let store = SpoolKeyStore(layout)
        guard let file = try SpoolKeyFile.read(store) else {
            guard sealsNew else { return nil }
            throw noSpoolKey
        }
        return try UnlockedKeys(file, passphrases, path: store.path).ring()
    }

    // MARK: An operator

    /// What opens the queue when the caller may have it, else nil; nobody is asked for a passphrase.
    ///
    /// - Parameter report: told why there is none, unless the caller just may not read it.
    public func ringIfAllowed(report: (String) -> Void) -> KeyRing? {
        guard var encryption = configuration.queueEncryption else { return nil }
        do throws(CommandFailure) {
            if let part = try handed(nil, HandedKeys.privateCredential) {
                return try sealing { () throws(SealError) in try KeyRing(part: part) }
            }
            guard spoolKeyAccess == 0 else { return nil }
            guard encryption.key?.isReadableAgain ?? true else { return nil }
            encryption.previous.removeAll { !$0.isReadableAgain }
            return try ring(try Passphrases(encryption, reader))
        } catch {
            report(error.sentence)
            return nil
        }
    }

    /// errno of looking whether spool.key may be read; 0 when it may.
    private var spoolKeyAccess: Int32 { access(SpoolKeyStore(layout).path, R_OK) == 0 ? 0 : errno }

    // MARK: Sealing

    private func protection(_ key: WriterKey) throws(CommandFailure) -> Protection {
        try checkTrust(key.publicKey)
        let encryption = configuration.queueEncryption
        let stretching = encryption?.stretchesEach == true ? encryption?.iterations : nil
        let sealer = try sealing { () throws(SealError) in try SegmentSealer(writer: key, stretching: stretching) }
        return Protection(sealer: sealer, compressing: configuration.queueCompression)
    }

    /// Whoever stores the spool can put another spool.key there; the configuration's folder is out of his reach.
    private func checkTrust(_ key: PublicKey) throws(CommandFailure) {
        let path = SubmitConfiguration.path(besides: configuration.path)
        let submit: SubmitConfiguration
        do throws(ConfigurationError) { submit = try SubmitConfiguration.load(path: path) } catch {
            throw CommandFailure(
                .configuration,
                "cannot seal: \(path), which says for which key, can't be used. Write it with mail-queue "
                    + "init. (\(error.message))")
        }
        guard let text = submit.publicKey, let id = submit.publicKeyID else {
            throw CommandFailure(
                .configuration, "cannot seal: \(path) names no public key. Write it with mail-queue init.")
        }
        let trusted = try sealing { () throws(SealError) in try PublicKey(text, id: id, of: path) }
        guard trusted == key else {
            throw CommandFailure(
                .configuration,
                "cannot seal: the key is \(key.id), and \(path) names \(trusted.id). If it was changed on purpose, run "
                    + "mail-queue init and start again; if not, somebody replaced \(SpoolKeyStore(layout).path): restore it "
                    + "from its backup.")
        }
    }

    private var noSpoolKey: CommandFailure {
        CommandFailure(
            .configuration,
            "cannot seal: there is no \(SpoolKeyStore(layout).path). Make it with mail-queue init, or "
                + "restore it from its backup.")
    }
}
