// Owns: what --help prints. Refuses: the whole table of flags, which mail-enqueue(1) holds.

enum Usage {
    static let text = """
        usage: mail-enqueue [options] [--] recipient ...
               mail-enqueue [options] -t [--] [recipient ...]

        Reads a message from standard input and puts it into the queue. Status 0 means that it is durable there.

          -t             take recipients from To, Cc and Bcc as well, and remove Bcc
          -f ADDRESS     the reverse-path, where failures are reported; '' or '<>' for none; -r is the same
          -F NAME        the full name for a From field that has to be added
          -i, -oi        a line that is only a dot does not end the message
          -N CONDITIONS  when to report: never, or some of success,failure,delay
          -R full|hdrs   how much of the message a report returns
          -V ID          the envelope ID that reports name
          -B 7BIT|8BITMIME  what the content is, where it is too long to look at all of it first
          -C FILE        the configuration; submit.conf in its folder is read
          --hold         hold the message until mail-queue release
          --print-id     print the queue ID once the message is durable
          --help, --version

        -bp lists the queue and -q tries it now, by mail-queue. Other options of sendmail(8) are known and have no
        effect here; mail-enqueue(1) lists them all. Options stand before recipients.

        """
}
