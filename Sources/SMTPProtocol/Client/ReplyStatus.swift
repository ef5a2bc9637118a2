// Owns: what a reply means for a recipient: result and enhanced status code. Refuses: when a reply is due.

import MailModel

extension RecipientResult {
    /// What a reply says: 2yz is Ok, 5yz permanent, everything else temporary.
    init(_ reply: PeerReply) {
        let result: AttemptResult =
            switch reply.replyClass {
            case 2: .ok
            case 5: .permanentFailure
            default: .temporaryFailure
            }
        self.init(result: result, status: reply.meaning, reply: reply.summary, isFromPeer: true)
    }

    /// A failure that no peer spoke of, or that must not count as more than temporary.
    static func temporary(_ status: EnhancedStatusCode, _ sentence: String) -> RecipientResult {
        RecipientResult(result: .temporaryFailure, status: status, reply: PeerText.printable(sentence))
    }

    static func permanent(_ status: EnhancedStatusCode, _ sentence: String) -> RecipientResult {
        RecipientResult(result: .permanentFailure, status: status, reply: PeerText.printable(sentence))
    }
}

extension PeerReply {
    /// The peer's own enhanced status code, else what RFC 3463 and the registry of RFC 5248 have for the code. A 3yz
    /// reply has no class of its own: where it counts at all, it is a protocol error.
    var meaning: EnhancedStatusCode {
        if let status { return status }
        switch code {
        case 421: return EnhancedStatusCode(4, 3, 2)
        case 450: return EnhancedStatusCode(4, 2, 0)
        case 451: return EnhancedStatusCode(4, 3, 0)
        case 452: return EnhancedStatusCode(4, 3, 1)
        case 500, 502, 503: return EnhancedStatusCode(5, 5, 1)
        case 501, 504, 555: return EnhancedStatusCode(5, 5, 4)
        case 521: return EnhancedStatusCode(5, 3, 2)
        case 530: return EnhancedStatusCode(5, 7, 0)
        case 535: return EnhancedStatusCode(5, 7, 8)
        case 551: return EnhancedStatusCode(5, 1, 6)
        case 552: return EnhancedStatusCode(5, 2, 2)
        case 553: return EnhancedStatusCode(5, 1, 3)
        case 556: return EnhancedStatusCode(5, 1, 10)
        default: break
        }
        switch replyClass {
        case 2: return EnhancedStatusCode(2, 0, 0)
        case 5: return EnhancedStatusCode(5, 0, 0)
        case 4: return EnhancedStatusCode(4, 0, 0)
        default: return EnhancedStatusCode(4, 5, 0)
        }
    }
}
