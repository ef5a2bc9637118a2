import CommandArguments
import CommandKit

CommandMain.run(MailQueue.self)
