// Owns: one session's channel: when to read, when to flush, when to close, how long to wait. Refuses: SMTP
// (ServerMachine) and its wiring to the policy (SessionDriver).
//
//   reading ──> closing: the last replies are being written
//                  └──> lingering: our side is shut, the peer's rest is thrown away until it closes too, so that
//                       the kernel does not answer that rest with a reset, which would wipe out our last reply
//   any ──> gone

import NIOCore
import SMTPProtocol

/// Lives on its channel's event loop. Reading is explicit: one batch ahead of the machine at most, which spares two
/// calls to epoll for each message, and nothing while the store pauses or the peer does not read our replies.
final class ServerSessionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State { case reading, closing, lingering, gone }

    private let roster: ServerRoster
    private let configuration: ServerConfiguration
    private let listenerIndex: Int
    private var driver: SessionDriver?
    private var context: ChannelHandlerContext?
    private var state = State.reading

    /// Read, but not wanted yet.
    private var held: [[UInt8]] = []
    private var heldIndex = 0
    private var isInBatch = false
    private var inputEnded = false
    private var toldEnd = false
    /// Used again for each flush: its storage is free as soon as the kernel has taken the bytes.
    private var writeBuffer = ByteBuffer()
    private var deadline = NIODeadline.distantFuture
    private var timer: Scheduled<Void>?

    init(roster: ServerRoster, configuration: ServerConfiguration, listenerIndex: Int) {
        self.roster = roster
        self.configuration = configuration
        self.listenerIndex = listenerIndex
    }

    // MARK: From the channel

    func handlerAdded(context: ChannelHandlerContext) { roster.add(self) }
    func handlerRemoved(context: ChannelHandlerContext) { roster.remove(self) }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let loop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        let driver = SessionDriver(
            configuration: configuration, policy: roster.policy,
            facts: SessionFacts(channel: context.channel, listenerIndex: listenerIndex)
        ) { [gate = roster.gate] answer in
            guard loop.inEventLoop else { return gate.execute(on: loop) { bound.value.take(answer) } }
            bound.value.take(answer)
        }
        self.driver = driver
        deadline = .now() + roster.limits.idle
        startTimer(on: loop)
        driver.open()
        if roster.isClosing { driver.handle(.shuttingDown) }
        settle()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let driver, state == .reading else { return }
        isInBatch = true
        let bytes = [UInt8](buffer: unwrapInboundIn(data))
        guard driver.wantsInput, heldIndex == held.count, !driver.isRunning else { return held.append(bytes) }
        feed(.received(bytes), to: driver)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isInBatch = false
        settle()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isInBatch { settle() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        inputEnded = true
        isInBatch = false
        settle()
    }

    /// A reset or a failed write: the peer is gone, which `channelInactive` will say.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        state = .gone
        timer?.cancel()
        driver?.end()
        driver = nil
        held = []
        self.context = nil
    }

    // MARK: From the server

    func shutDown() {
        guard let driver, state == .reading else { return }
        driver.handle(.shuttingDown)
        settle()
    }

    /// The deadline of a shutdown passed.
    func drop() { context?.close(promise: nil) }

    // MARK: Steps

    private func take(_ answer: SessionAnswer) {
        guard let driver else { return }
        let wasRunning = driver.isRunning
        driver.take(answer)
        // Our answer was late: the peer's time begins now.
        if !driver.owesAnswer, state == .reading { deadline = .now() + roster.limits.idle }
        if !wasRunning, !isInBatch { settle() }
    }

    private func feed(_ event: ServerEvent, to driver: SessionDriver) {
        if driver.handle(event), state == .reading { deadline = .now() + roster.limits.idle }
    }

    /// After anything that happened: hands over what was held, writes, closes or reads on.
    private func settle() {
        guard let driver, let context, !driver.isRunning else { return }
        if state == .reading { drain(driver) }
        flush(driver, context)
        switch state {
        case .reading where driver.isClosing: close(context)
        case .reading:
            if heldIndex == held.count, !driver.isPaused, !inputEnded, context.channel.isWritable { context.read() }
        case .lingering:
            if inputEnded { context.close(promise: nil) } else { context.read() }
        case .closing, .gone: break
        }
    }

    private func drain(_ driver: SessionDriver) {
        while heldIndex < held.count, driver.wantsInput {
            let bytes = held[heldIndex]
            held[heldIndex] = []
            heldIndex += 1
            feed(.received(bytes), to: driver)
        }
        guard heldIndex == held.count else { return }
        held.removeAll(keepingCapacity: false)
        heldIndex = 0
        if inputEnded, !toldEnd, driver.wantsInput {
            toldEnd = true
            driver.handle(.peerClosed)
        }
    }

    private func flush(_ driver: SessionDriver, _ context: ChannelHandlerContext) {
        guard !driver.output.isEmpty else { return }
        writeBuffer.clear(minimumCapacity: 512)
        writeBuffer.writeBytes(driver.output)
        driver.output.removeAll(keepingCapacity: driver.output.capacity <= 4096)
        context.writeAndFlush(wrapOutboundOut(writeBuffer), promise: nil)
    }

    /// All replies were handed to the channel; once they are written, our side ends.
    private func close(_ context: ChannelHandlerContext) {
        state = .closing
        let mayLinger = driver?.endsEarly ?? false
        held = []
        heldIndex = 0
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        // Nothing, as a mark behind all that is still unwritten; mostly it is passed before this returns.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in bound.value.written(mayLinger) }
        guard state != .gone else { return }
        deadline = .now() + roster.limits.linger
        timer?.cancel()
        startTimer(on: context.eventLoop)
    }

    private func written(_ mayLinger: Bool) {
        guard let context, state == .closing else { return }
        guard mayLinger, !inputEnded else { return context.close(promise: nil) }
        state = .lingering
        context.close(mode: .output, promise: nil)
        context.read()
    }

    // MARK: Time

    /// One timer a session: when it fires too early, because the deadline has moved, it is set again.
    private func startTimer(on loop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(deadline: deadline) { bound.value.timerFired() }
    }

    private func timerFired() {
        guard let context, let driver, state != .gone else { return }
        // Whoever waits for our store or policy is not idle, unless it does not even read our replies.
        if state == .reading, driver.owesAnswer, context.channel.isWritable {
            deadline = max(deadline, .now() + roster.limits.idle)
        }
        guard deadline <= .now() else { return startTimer(on: context.eventLoop) }
        guard state == .reading else { return context.close(promise: nil) }
        driver.handle(.timedOut)
        guard driver.isClosing else { return context.close(promise: nil) }
        settle()
    }
}
