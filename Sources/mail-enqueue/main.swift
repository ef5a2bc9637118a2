import CommandKit

// Before anything else opens a file: see StandardDescriptors.
let stdinWasClosed = StandardDescriptors.fill()
CommandMain.run { try Enqueue.run(stdinIsClosed: stdinWasClosed) }
