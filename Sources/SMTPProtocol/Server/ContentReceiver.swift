// Owns: the content of one message while it arrives: its size, its line ends, why it is refused. Refuses: storing it;
// keeping any of it.

/// Reads content until its real end, whatever becomes of the message: what follows a refused message must not be taken
/// for commands, nor its lines for anything else (RFC 5321 §4.1.1.4).
struct ContentReceiver {
    private var storageReply: Reply?
    private var unstuffer = DotUnstuffer()
    private let maxSize: Int

    /// - Parameter maxSize: octets of content without stuffing, all line ends counted (RFC 1870 §6.1).
    init(maxSize: Int) { self.maxSize = maxSize }

    var isAtEnd: Bool { unstuffer.isAtEnd }

    /// Why the message is refused; nil as long as it is not. Of several reasons the one that stands first here counts,
    /// not the one found first: the reply must not depend on how the octets were cut.
    var refusal: Reply? {
        if let storageReply { return storageReply }
        if unstuffer.octets > maxSize { return ServerReplies.tooBig }
        return unstuffer.hasBareCR || unstuffer.hasBareLF ? ServerReplies.bareLineEndInContent : nil
    }

    /// The storage can't take the message.
    mutating func refuse(_ reply: Reply) { storageReply = reply }

    /// Reads up to the end of the content or all of `input`.
    /// - Returns: content to store, empty once the message is refused, and how many octets were read.
    mutating func read(_ input: ArraySlice<UInt8>) -> (content: [UInt8], read: Int) {
        let (content, read) = unstuffer.decode(input, keeping: refusal == nil)
        return (refusal == nil ? content : [], read)
    }
}
