import Glibc
import Testing

@testable import QueueKit

@Suite struct SpoolHealthTests {
    @Test func aNewSpoolIsHealthy() throws {
        let spool = try TemporarySpool()
        #expect(try spool.layout.faults(owners: .caller).isEmpty)
        #expect(try SpoolLayout(root: spool.layout.root + "/none").faults(owners: .caller).map(\.kind) == [.missing])
    }

    @Test(arguments: ["", "/offline", "/incoming", "/queue", "/quarantine", "/run", "/trigger", "/spool.meta"])
    func modesAreFoundAndMended(name: String) throws {
        let spool = try TemporarySpool()
        #expect(chmod(spool.layout.root + name, 0o500) == 0)
        let faults = try spool.layout.faults(owners: .caller)
        #expect(faults.map(\.path) == [spool.layout.root + name])
        guard case .mode(found: 0o500, expected: _) = faults.first?.kind else {
            Issue.record("\(faults)")
            return
        }
        for fault in faults { #expect(try spool.layout.mend(fault, owners: .caller)) }
        #expect(try spool.layout.faults(owners: .caller).isEmpty)
    }

    @Test func whatIsMissingOrOfAnotherKindIsNotMended() throws {
        let spool = try TemporarySpool()
        rmdir(spool.layout.path(.run))
        rmdir(spool.layout.path(.quarantine))
        symlink("/tmp", spool.layout.path(.quarantine))
        let faults = try spool.layout.faults(owners: .caller)
        #expect(faults.map(\.kind) == [.notA(expected: "directory"), .missing])
        for fault in faults { #expect(try !spool.layout.mend(fault, owners: .caller)) }
    }

    @Test func otherOwnersAreFound() throws {
        let spool = try TemporarySpool()
        var owners = SpoolOwners.caller
        owners.listenerUID += 1
        let faults = try spool.layout.faults(owners: owners)
        #expect(faults.map(\.path) == [spool.layout.path(.incoming)])
        let found = SpoolFault.Ownership(uid: geteuid(), gid: getegid())
        let expected = SpoolFault.Ownership(uid: geteuid() + 1, gid: getegid())
        #expect(faults.first?.kind == .owner(found: found, expected: expected))
    }

    /// A second name of a file that lies elsewhere must not be given away.
    @Test func hardLinksAreLeftAlone() throws {
        let spool = try TemporarySpool()
        #expect(link(spool.layout.meta, spool.layout.root + "/other") == 0)
        chmod(spool.layout.meta, 0o600)
        let fault = try #require(try spool.layout.faults(owners: .caller).first)
        #expect(try !spool.layout.mend(fault, owners: .caller))
    }
}
