"""A small LMTP client over a Unix socket: shows every reply, says nothing by itself."""
import socket


class LMTP:
    def __init__(self, path, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.banner = self.reply()
        if hello:
            self.capabilities = self.say("LHLO scenario")

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode()
            if not line:
                raise EOFError("the agent closed the connection")
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def send(self, data):
        self.socket.sendall(data)

    def say(self, line):
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def begin(self, sender, recipients, action):
        """MAIL, RCPTs, DATA; the replies of the RCPTs."""
        assert self.say("MAIL FROM:<%s>" % sender).startswith("250")
        replies = [self.say("RCPT TO:<%s> XACTION=%s" % (r, action)) for r in recipients]
        if any(r.startswith("250") for r in replies):
            assert self.say("DATA").startswith("354")
        else:
            self.say("RSET")
        return replies

    def finish(self, count):
        self.send(b".\r\n")
        return [self.reply() for _ in range(count)]

    def deliver(self, sender, recipients, action, content):
        """content: bytes with CRLF at every line's end. All replies of the end, or the refusals of RCPT."""
        replies = self.begin(sender, recipients, action)
        taken = sum(r.startswith("250") for r in replies)
        if not taken:
            return replies
        self.send(stuffed(content))
        return self.finish(taken)

    def close(self):
        self.file.close()
        self.socket.close()


def stuffed(content):
    content = b"\r\n" + content
    return content.replace(b"\r\n.", b"\r\n..")[2:]
