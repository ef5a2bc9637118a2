import MailModel
import QueueKit
import Routing
import Testing

@testable import mail_relay

@Suite struct RoutePlannerTests {
    private func planner(_ text: String) throws -> RoutePlanner {
        let configuration = try Configuration.parse(text: text, path: "test.conf") { _ in "" }
        let tables = try TableSet(opening: configuration) { _ in }
        return RoutePlanner(
            router: Router(configuration: configuration, tables: tables, localNames: ["here.example"]))
    }

    private func envelope(_ recipient: String, from: String = "a@here.example") throws -> Envelope {
        Envelope(
            id: QueueID(now: Timestamp(milliseconds: 0), random: 1), arrival: Timestamp(milliseconds: 0),
            reversePath: from.isEmpty ? .null : .mailbox(try #require(Mailbox(from))),
            recipients: [Recipient(try #require(Mailbox(recipient)))], origin: .submission(uid: 1000))
    }

    private let text = """
        table aliases { list = "root, far@away.example", broken = "error:450 come back", gone = "error:550 5.1.6 moved" }
        action "local" maildir alias <aliases>
        action "out" relay mail-from "bounce@here.example" helo "me.example"
        action "hub" relay host smtp+notls://127.0.0.1:26
        match from local for local action "local"
        match from local for domain "hub.example" action "hub"
        match from local for any action "out"
        """

    @Test func byDomainByHostAndLocally() throws {
        let planner = try planner(text)
        let far = try envelope("x@AWAY.example")
        guard case .deliver(let hop, let sender, _) = planner.decide(far.recipients[0], of: far) else {
            Issue.record("not delivered")
            return
        }
        #expect(hop.place == .domain("away.example") && hop.helo == "me.example")
        #expect(sender == .mailbox(try #require(Mailbox("bounce@here.example"))))
        let hub = try envelope("x@hub.example")
        guard case .deliver(let second, _, _) = planner.decide(hub.recipients[0], of: hub) else {
            Issue.record("not delivered")
            return
        }
        #expect(second.place == .hosts([RelayHost(scheme: .smtpNoTLS, host: "127.0.0.1", port: 26)]))
        let root = try envelope("root@here.example")
        guard case .deliver(let third, _, _) = planner.decide(root.recipients[0], of: root) else {
            Issue.record("not delivered")
            return
        }
        #expect(third.isLocal && third.action == "local")
    }

    @Test func theNullReversePathStaysNull() throws {
        let message = try envelope("x@away.example", from: "")
        guard case .deliver(_, let sender, _) = try planner(text).decide(message.recipients[0], of: message) else {
            Issue.record("not delivered")
            return
        }
        #expect(sender == .null)
    }

    @Test(arguments: [("lmtp \"/run/x.sock\"", true), ("lmtp \"/run/x.sock\" rcpt-to", false)])
    func lmtpSendsNamesUnlessToldOtherwise(method: String, sendsNames: Bool) throws {
        let message = try envelope("root@here.example")
        let planner = try planner("action \"l\" \(method)\nmatch from local for local action \"l\"")
        guard case .deliver(let hop, _, "l") = planner.decide(message.recipients[0], of: message) else {
            Issue.record("not delivered")
            return
        }
        #expect(hop.sendsUserNames == sendsNames && hop.place == .lmtpSocket("/run/x.sock"))
    }

    @Test func mailFromOfADomainKeepsTheLocalPart() throws {
        let message = try envelope("x@away.example")
        let planner = try planner(
            "action \"o\" relay mail-from \"@new.example\"\nmatch from local for any action \"o\"")
        guard case .deliver(_, let sender, _) = planner.decide(message.recipients[0], of: message) else {
            Issue.record("not delivered")
            return
        }
        #expect(sender == .mailbox(try #require(Mailbox("a@new.example"))))
    }

    @Test func membersRememberTheirActionAndAreNotExpandedAgain() throws {
        let planner = try planner(text)
        let message = try envelope("list@here.example")
        guard case .expand(let members, let refused) = planner.decide(message.recipients[0], of: message) else {
            Issue.record("not expanded")
            return
        }
        #expect(members.map(\.action) == ["local", "out"] && refused.isEmpty)
        #expect(members.map(\.originalRecipient) == Array(repeating: "rfc822;list@here.example", count: 2))
        for member in members {
            guard case .deliver = planner.decide(member, of: message, isMember: true) else {
                Issue.record("\(member.forwardPath) is expanded again")
                return
            }
        }
    }

    /// What the rules chose when the mail came stays, by its name; what that name means is today's matter.
    @Test func queuedMailFollowsTheActionOfTheDay() throws {
        var message = try envelope("x@away.example")
        message.recipients[0].action = "out"
        let rules = "match from local for any reject"
        let today = try planner("action \"out\" relay host smtp://today.example\n\(rules)")
        guard case .deliver(let hop, _, "out") = today.decide(message.recipients[0], of: message) else {
            Issue.record("not delivered")
            return
        }
        #expect(hop.place == .hosts([RelayHost(host: "today.example")]))
        // Without an action of that name the rules of the day decide.
        let gone = try planner("action \"new\" relay\nmatch from local for any action \"new\"")
        guard case .deliver(_, _, "new") = gone.decide(message.recipients[0], of: message) else {
            Issue.record("not by the rules")
            return
        }
        // Aliases of the action are followed, once.
        message = try envelope("list@elsewhere.example")
        message.recipients[0].action = "local"
        guard case .expand(let members, _) = try planner(text).decide(message.recipients[0], of: message) else {
            Issue.record("not expanded")
            return
        }
        #expect(members.map(\.forwardPath.description) == ["root@elsewhere.example", "far@away.example"])
    }

    @Test(arguments: [("broken", 450, true), ("gone", 550, false), ("no-such-user-here", 550, false)])
    func refusals(user: String, code: Int, isTemporary: Bool) throws {
        let message = try envelope("\(user)@here.example")
        guard case .refuse(let error) = try planner(text).decide(message.recipients[0], of: message) else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == code && error.isTemporary == isTemporary)
    }

    @Test(
        arguments: [
            ("/run/x.sock", NextHop.Place.lmtpSocket("/run/x.sock")),
            ("h.example:24", .lmtpHost("h.example", port: 24)),
            ("[::1]:24", .lmtpHost("::1", port: 24)), ("h.example", nil), (":24", nil), ("h:99999", nil),
        ] as [(String, NextHop.Place?)])
    func lmtpPlaces(text: String, place: NextHop.Place?) { #expect(RoutePlanner.lmtpPlace(text) == place) }
}
