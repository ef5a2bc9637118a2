import CommandArguments
import CommandKit

// Before any thread exists: one that does not block these signals could take one and end the process.
do throws(CommandFailure) { try Signals.block(StopSignals.handled) } catch { CommandMain.run { throw error } }
await CommandMain.runAsync(Listen.self)
