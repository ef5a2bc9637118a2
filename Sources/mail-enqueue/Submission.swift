// Owns: one submission, from what the caller asked for to the durable drop. Refuses: arguments, standard streams.
//
// Order: everything that can be wrong with arguments, settings and spool is looked at before the message is read; then
// its opening; then the drop is begun, filled and committed. Whatever stops the program before the commit leaves
// nothing behind: until then the drop has no name.

import CommandKit
import MailModel
import QueueKit
import SMTPProtocol

struct Submission {
    let arguments: SendmailArguments
    let settings: SubmitSettings
    private let layout: SpoolLayout
    let reversePath: ReversePath
    /// For a From field that has to be added.
    let author: Mailbox
    let authorName: String?
    private let recipients: [Mailbox]

    /// - Throws: 64 without recipients, 65 for addresses that are none, the spool's own statuses when it can't be used.
    init(
        _ arguments: SendmailArguments, settings: SubmitSettings,
        caller: () throws(CommandFailure) -> Caller = Caller.current
    ) throws(CommandFailure) {
        (self.arguments, self.settings) = (arguments, settings)
        let addresses = Addresses(domain: settings.domain)
        recipients = try addresses.recipients(arguments.recipients)
        guard !recipients.isEmpty || arguments.takesRecipients else { throw Self.noRecipients }
        let given = try arguments.reversePath.map { (text) throws(CommandFailure) in try addresses.reversePath(text) }
        if let mailbox = given?.mailbox {
            // The account's name is not that of a mailbox named by -f.
            (author, authorName) = (mailbox, arguments.fullName)
        } else {
            let caller = try caller()
            guard let own = Mailbox(localPart: caller.localPart, domain: settings.domain) else {
                throw Addresses.malformed("sender", "\(caller.localPart)@\(settings.domain)")
            }
            (author, authorName) = (own, arguments.fullName ?? caller.fullName)
        }
        reversePath = given ?? .mailbox(author)
        layout = SpoolLayout(root: settings.spool)
        try Self.onSpool { () throws(QueueError) in _ = try SpoolMeta.read(layout) }
    }

    private static let noRecipients = CommandFailure(.usage, "no recipients: name one or give -t.")

    /// Reads the message and makes it durable.
    func store(_ input: inout MessageInput, clock: any TimeSource = SystemClock()) throws(CommandFailure) -> QueueID {
        try input.readOpening()
        guard input.header.end != .limit || input.header.fields.isEmpty && !arguments.takesRecipients else {
            throw CommandFailure(
                .dataError,
                "the header of the message is longer than \(MessageInput.headerLimit) octets. Put an empty line "
                    + "between header and body.")
        }
        let (id, now) = (QueueID.make(clock), clock.now())
        let header = SubmissionHeader(completing: input.header, facts: facts(id, now))
        let envelope = envelope(id, now, try allRecipients(header), Self.body(input, header, arguments.body))
        try checkSize(header.bytes.count + input.header.rest.count)
        let drop = try Self.onSpool { () throws(QueueError) in
            try OfflineDrop(layout, envelope, protection: settings.protection, clock: clock)
        }
        do throws(CommandFailure) {
            try fill(drop, header, &input)
        } catch {
            drop.abort()
            throw error
        }
        try Self.onSpool { () throws(QueueError) in try drop.commit() }
        return id
    }

    private func fill(
        _ drop: OfflineDrop, _ header: SubmissionHeader, _ input: inout MessageInput
    ) throws(CommandFailure) {
        var size = 0
        var piece: [UInt8]? = header.bytes + input.header.rest
        while let bytes = piece {
            size += bytes.count
            try checkSize(size)
            try Self.onSpool { () throws(QueueError) in try drop.append(bytes) }
            piece = try input.next()
        }
    }

    private func allRecipients(_ header: SubmissionHeader) throws(CommandFailure) -> [Mailbox] {
        if let wrong = header.malformed.first { throw Addresses.malformed("recipient in the header", wrong) }
        let all = try Addresses.unique(recipients + header.recipients)
        guard !all.isEmpty else { throw Self.noRecipients }
        return all
    }

    private func checkSize(_ size: Int) throws(CommandFailure) {
        guard size > settings.sizeLimit else { return }
        throw CommandFailure(
            .dataError,
            "the message has at least \(size) octets; \(settings.source) allows \(settings.sizeLimit) "
                + "(max-message-size). Nothing was stored. Send less, or let the administrator raise it.")
    }

    /// The spool's errors in this program's terms: what is damaged there is not the message's fault (65), and rights that
    /// are wrong there are not the caller's (77): the message may be sent again when they are mended.
    private static func onSpool<Value>(
        _ body: () throws(QueueError) -> Value
    ) throws(CommandFailure) -> Value {
        do throws(QueueError) {
            return try body()
        } catch {
            throw CommandFailure(Self.status(of: error), "the message was not stored: \(error)")
        }
    }

    private static func status(of error: QueueError) -> ExitStatus {
        guard error.kind != .corrupt else { return .configuration }
        let status = ExitStatus(rawValue: error.exitStatus) ?? .temporaryFailure
        return status == .noPermission ? .temporaryFailure : status
    }
}
