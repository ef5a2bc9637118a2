// Owns: how long the client waits for what. Refuses: measuring it; the I/O has the clock.

/// RFC 5321 §4.5.3.2; the values are its minima.
enum ClientTimeouts {
    static let greeting = Duration.seconds(300)
    /// EHLO, MAIL, RCPT; RSET has none of its own.
    static let command = Duration.seconds(300)
    static let data = Duration.seconds(120)
    static let contentBlock = Duration.seconds(180)
    static let final = Duration.seconds(600)
    /// Ours: the mail is through, only good manners are at stake.
    static let quit = Duration.seconds(5)
}
