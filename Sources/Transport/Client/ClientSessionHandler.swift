// Owns: one client connection on its event loop: machine, timer, and the promise of whoever waits. Refuses: SMTP
// (ClientMachine), reading content (SMTPConnection pulls it, one piece at a time).
//
//   opening --ready--> idle --deliver--> busy --sendContent--> streaming --finish--> busy --finished, ready--> idle
//   any --close--> closed
//
// Whoever waits is told in every case: `channelInactive` settles what is still open.

import MailModel
import NIOCore
import SMTPProtocol
import Synchronization

/// Whether a connection can take another transaction; read from any thread.
final class ConnectionStatus: Sendable {
    private let reusable = Mutex(false)
    var isReusable: Bool {
        get { reusable.withLock { $0 } }
        set { reusable.withLock { $0 = newValue } }
    }
}

final class ClientSessionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a transaction waits for next.
    enum Step: Sendable {
        case content
        case finished([RecipientResult])
    }

    /// The mail is settled; a peer slow to answer RSET must not hold its results back for minutes.
    private static let resetTimeout = Duration.seconds(20)

    let status = ConnectionStatus()
    private var machine: ClientMachine
    private var context: ChannelHandlerContext?
    private var opening: EventLoopPromise<PeerCapabilities>?
    private var failure: SessionFailure?

    private var waiting: EventLoopPromise<Step>?
    private var recipientCount = 0
    private var isStreaming = false
    private var results: [RecipientResult]?
    private var isOver = false

    private var deadline: NIODeadline?
    private var timer: (task: Scheduled<Void>, deadline: NIODeadline)?
    private var blockTimeout = Duration.seconds(180)

    init(configuration: ClientConfiguration, opening: EventLoopPromise<PeerCapabilities>) {
        machine = ClientMachine(configuration: configuration)
        self.opening = opening
    }

    // MARK: From the channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        run(.opened)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        run(.received([UInt8](buffer: unwrapInboundIn(data))))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        if !isOver { run(.peerClosed) }
        timer?.task.cancel()
        self.context = nil
        settle()
    }

    func handlerRemoved(context: ChannelHandlerContext) { settle() }

    // MARK: From SMTPConnection, on the loop

    func deliver(_ mail: OutgoingMail, on loop: any EventLoop) -> EventLoopFuture<Step> {
        guard waiting == nil, !isStreaming, status.isReusable, !isOver else {
            return loop.makeSucceededFuture(.finished(Self.lost(mail.recipients.count)))
        }
        status.isReusable = false
        recipientCount = mail.recipients.count
        results = nil
        return wait(for: .deliver(mail), on: loop)
    }

    /// Hands over a piece of dot-stuffed content.
    /// - Returns: when the kernel has taken it: whether more is wanted.
    func send(_ bytes: [UInt8], on loop: any EventLoop) -> EventLoopFuture<Bool> {
        guard let context, isStreaming, results == nil, !isOver else { return loop.makeSucceededFuture(false) }
        setTimeout(blockTimeout)
        let bound = NIOLoopBound(self, eventLoop: loop)
        return context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)))
            .map { bound.value.tookBlock() }
            .recover { _ in false }
    }

    /// The content is through (`.contentSent`), can't be read any more (`.contentFailed`), or found no taker
    /// (`.peerClosed`).
    func endContent(_ event: ClientEvent, on loop: any EventLoop) -> EventLoopFuture<Step> {
        isStreaming = false
        if let results { return loop.makeSucceededFuture(.finished(results)) }
        return wait(for: event, on: loop)
    }

    func quit() { run(.quit) }

    private func tookBlock() -> Bool {
        guard isStreaming, results == nil, !isOver else { return false }
        setTimeout(blockTimeout)
        return true
    }

    private func wait(for event: ClientEvent, on loop: any EventLoop) -> EventLoopFuture<Step> {
        let promise = loop.makePromise(of: Step.self)
        waiting = promise
        run(event)
        if isOver { settle() }
        return promise.futureResult
    }

    // MARK: Actions

    private func run(_ event: ClientEvent) {
        for action in machine.receive(event) { perform(action) }
        context?.flush()
        if isOver { context?.close(promise: nil) }
    }

    private func perform(_ action: ClientAction) {
        switch action {
        case .send(let bytes): context?.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        case .ready(let capabilities): becomeReady(capabilities)
        case .sendContent:
            isStreaming = true
            answer(.content)
        case .finished(let results): self.results = results
        case .failed(let failure): fail(failure)
        case .setTimeout(let timeout):
            if isStreaming { blockTimeout = timeout }
            setTimeout(results == nil ? timeout : min(timeout, Self.resetTimeout))
        case .close:
            isOver = true
            status.isReusable = false
            finishWaiting()
        }
    }

    private func becomeReady(_ capabilities: PeerCapabilities) {
        deadline = nil
        status.isReusable = true
        opening?.succeed(capabilities)
        opening = nil
        finishWaiting()
    }

    private func fail(_ failure: SessionFailure) {
        opening?.fail(failure)
        opening = nil
    }

    private func finishWaiting() {
        if let results { answer(.finished(results)) }
    }

    private func answer(_ step: Step) {
        waiting?.succeed(step)
        waiting = nil
    }

    /// The connection is over: nobody waits any longer.
    private func settle() {
        status.isReusable = false
        isOver = true
        let text = "the connection was closed before the session had begun"
        fail(SessionFailure(result: .temporaryFailure, status: EnhancedStatusCode(4, 4, 2), reply: text))
        answer(.finished(results ?? Self.lost(recipientCount)))
    }

    private static func lost(_ count: Int) -> [RecipientResult] {
        let text = "the connection was closed before the message could be sent"
        let result = RecipientResult(
            result: .temporaryFailure, status: EnhancedStatusCode(4, 4, 2), reply: text)
        return Array(repeating: result, count: count)
    }

    // MARK: Time

    /// Bytes that arrive move nothing: a reply has to be whole by the deadline. A timer that fires too early is set
    /// again, so that the many short waits of a session cost one timer.
    private func setTimeout(_ timeout: Duration) {
        guard let context else { return }
        let end = NIODeadline.now() + .milliseconds(max(1, timeout.milliseconds))
        deadline = end
        if let timer, timer.deadline <= end { return }
        timer?.task.cancel()
        startTimer(at: end, on: context.eventLoop)
    }

    private func startTimer(at end: NIODeadline, on loop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = (loop.scheduleTask(deadline: end) { bound.value.timerFired() }, end)
    }

    private func timerFired() {
        timer = nil
        guard let context, let deadline else { return }
        guard deadline <= .now() else { return startTimer(at: deadline, on: context.eventLoop) }
        self.deadline = nil
        guard !isOver else { return context.close(promise: nil) }
        run(.timedOut)
    }
}
