// Owns: the one reply of a server that takes no further session. Refuses: everything else.

import NIOCore
import SMTPProtocol

/// Says 421 (RFC 5321 §3.8) as soon as the connection stands, and closes.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let reply: Reply
    private let policy: any ServerPolicy
    private let listenerIndex: Int

    init(_ reply: Reply, policy: any ServerPolicy, listenerIndex: Int) {
        (self.reply, self.policy, self.listenerIndex) = (reply, policy, listenerIndex)
    }

    func channelActive(context: ChannelHandlerContext) {
        let facts = SessionFacts(channel: context.channel, listenerIndex: listenerIndex)
        policy.refused(command: "(connection)", reply: reply, facts)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: reply.bytes)), promise: nil)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
