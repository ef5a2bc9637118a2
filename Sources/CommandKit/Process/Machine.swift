// Owns: what this machine is called and how its clock stands to UTC. Refuses: asking DNS: a start must not wait for it.

import Glibc

public enum Machine {
    /// gethostname(2); `localhost` when the machine has no name.
    public static var name: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return name.isEmpty ? "localhost" : name
    }

    /// Minutes east of UTC at a time given in seconds since 1970, by the system's zone.
    public static func offsetMinutes(atSeconds seconds: Int64) -> Int {
        var (time, parts) = (time_t(seconds), tm())
        return localtime_r(&time, &parts) == nil ? 0 : parts.tm_gmtoff / 60
    }
}
