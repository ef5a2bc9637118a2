// Owns: `mail-queue check`: what it looks at, in which order, and its status. Refuses: judging files (QueueKit's
// SpoolCheck), mending (CheckFix).

import ArgumentParser
import CommandKit
import Glibc
import QueueKit
import Routing

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Goes over the whole spool, every record of it.",
        discussion: """
            Tells what is wrong, one line each, with the runner at work or not; it is not disturbed. Ends with 65 when \
            there is a fault; notes and what could not be looked at are none. Nothing is changed without --fix.
            """)

    @Flag(help: "First set owners and modes right, and do what a start of the runner does.")
    var fix = false

    @Flag(help: "With --fix: take unsealed files that came after encryption for mail.")
    var acceptClear = false

    @Flag(help: "One JSON object a line.")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if acceptClear, !fix { throw ValidationError("--accept-clear needs --fix.") }
    }

    func run() throws {
        let spool = try common.openSpool()
        _ = try queueCall { () throws(QueueError) in try SpoolMeta.read(spool.layout) }
        var output = CheckOutput(json: json)
        let owners = try CheckOwners.find(spool)
        // Before root becomes the spool's owner, who may not be able to read the passphrase.
        let keys = spool.keys.reader
        if fix {
            for line in try CheckFix(spool: spool, owners: owners, acceptsClear: acceptClear).run() {
                try output.mended(line)
            }
        }
        var findings = try CheckOwners.faults(spool, owners)
        let report: CheckReport
        do throws(QueueError) {
            let ledger = spool.configuration.queueEncryption?.key == nil ? nil : spool.ledger
            var check = try SpoolCheck(spool.layout, keys: keys, ledger: ledger)
            report = try check.run()
        } catch {
            // What is wrong with the places may be why.
            for finding in findings { try output.add(finding) }
            try output.flush()
            throw CommandFailure(error)
        }
        findings += report.findings
        for finding in findings { try output.add(finding) }
        try output.end(report.counts, findings)
        if findings.contains(where: { $0.level == .fault }) { throw QuietExit(.dataError) }
    }
}

/// Whose the parts of the spool must be.
enum CheckOwners {
    /// As root the accounts of the configuration; for anyone else the owners that are there.
    static func find(_ spool: Spool) throws(CommandFailure) -> SpoolOwners {
        guard geteuid() != 0 else {
            return try SpoolAccounts.owners(of: spool.layout, spool.configuration.superviseUsers)
        }
        var owners = SpoolOwners.caller
        var status = stat()
        if lstat(spool.layout.root, &status) == 0 { (owners.relayUID, owners.group) = (status.st_uid, status.st_gid) }
        if lstat(spool.layout.path(.incoming), &status) == 0 { owners.listenerUID = status.st_uid }
        return owners
    }

    /// What is wrong with the places, as findings.
    static func faults(_ spool: Spool, _ owners: SpoolOwners) throws(CommandFailure) -> [CheckFinding] {
        let faults: [SpoolFault]
        do throws(QueueError) {
            faults = try spool.layout.faults(owners: owners)
        } catch {
            // Operators may pass through the spool's own directory, not open it.
            guard error.cause == .permissionDenied else { throw CommandFailure(error) }
            return [
                CheckFinding(
                    .unchecked, .layout, spool.layout.root,
                    "Owners and modes were not checked: only root and the spool's owner can.")
            ]
        }
        var findings: [CheckFinding] = []
        for fault in faults {
            let text = try FaultText(fault)
            findings.append(CheckFinding(.fault, .layout, fault.path, "\(text.sentence). \(text.cure)"))
        }
        return findings
    }
}
