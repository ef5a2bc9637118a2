// Owns: the ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2) that the server takes. Refuses: every other one, with
// 555, so that nobody believes a promise that is not kept.

import MailModel

/// Reads `KEYWORD=value ...` from ASCII text into a command.
enum ParameterParser {
    /// - Parameter text: what follows the path; empty, or beginning with a space.
    static func readSender(_ text: Substring, into sender: inout SenderRequest) throws(Refusal) {
        var hasBody = false
        for (keyword, value) in try split(text) {
            switch keyword {
            case "SIZE":
                guard sender.size == nil, let size = readSize(value) else { throw Refusal(ServerReplies.badParameter) }
                sender.size = size
            case "BODY":
                guard !hasBody, let body = readBody(value) else { throw Refusal(ServerReplies.badParameter) }
                sender.body = body
                hasBody = true
            default:
                throw Refusal(ServerReplies.unknownParameter)
            }
        }
    }

    /// - Returns: the value of XACTION as it stands (ClientCommands sends it so), when it is taken and present.
    static func readAction(_ text: Substring, takesAction: Bool) throws(Refusal) -> String? {
        var action: String?
        for (keyword, value) in try split(text) {
            guard takesAction, keyword == "XACTION" else { throw Refusal(ServerReplies.unknownParameter) }
            guard action == nil, let name = value.map(String.init) else {
                throw Refusal(ServerReplies.badParameter)
            }
            action = name
        }
        return action
    }

    /// Keywords come back in upper case; a value is nil when there is no `=`.
    private static func split(_ text: Substring) throws(Refusal) -> [(keyword: String, value: Substring?)] {
        if text.isEmpty { return [] }
        guard text.utf8.first == UInt8(ascii: " ") else { throw Refusal(ServerReplies.badParameter) }
        var parameters: [(keyword: String, value: Substring?)] = []
        for word in text.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let keyword = parts.first, isKeyword(keyword) else { throw Refusal(ServerReplies.badParameter) }
            let value = parts.count == 2 ? parts[1] : nil
            guard value.map(isValue) ?? true else { throw Refusal(ServerReplies.badParameter) }
            parameters.append((keyword.uppercased(), value))
        }
        return parameters
    }

    /// esmtp-keyword: letters, digits and hyphens, no hyphen first.
    private static func isKeyword(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "-") else { return false }
        return text.utf8.allSatisfy { octet in
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }

    /// esmtp-value: printable, no space, no `=`.
    private static func isValue(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "=") }
    }

    /// RFC 1870 §3: 1 to 20 digits. What no Int holds is over every limit, so it counts as the largest.
    private static func readSize(_ value: Substring?) -> Int? {
        guard let value, (1...20).contains(value.utf8.count) else { return nil }
        guard value.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(value) ?? Int.max
    }

    /// RFC 6152 §2.
    private static func readBody(_ value: Substring?) -> BodyKind? {
        switch value?.uppercased() {
        case "7BIT": .sevenBit
        case "8BITMIME": .eightBitMIME
        default: nil
        }
    }
}
