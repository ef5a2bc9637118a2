// Owns: the client's lines that the server tests share.

let messageText = "Subject: test\r\n\r\n..hidden dot\r\nlast line\r\n"
let messageContent = Array("Subject: test\r\n\r\n.hidden dot\r\nlast line\r\n".utf8)
let envelopeText = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n"
/// A whole session as a client sends it that does not wait.
let wholeSession = "EHLO client.example.org\r\n" + envelopeText + messageText + ".\r\nQUIT\r\n"
