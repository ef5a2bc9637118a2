// Owns: checking what is no segment: drops, spares, quarantine, leftovers, strangers. Refuses: taking any of it away.

import Glibc
import MailModel

extension SpoolCheck {
    // MARK: Drops

    /// A file of `offline/`, where anyone may put anything.
    func drop(_ name: String) -> Look {
        let path = "\(files.offline.path)/\(name)"
        do throws(QueueError) {
            switch try files.open(name, in: files.offline) {
            case .gone: return Look()
            case .notRegular: return refused(path, "It is not a regular file.")
            case .file(let file, let status): return try drop(file, status)
            }
        } catch {
            return .failed(.drop, path, error)
        }
    }

    private func refused(_ path: String, _ why: String) -> Look {
        var look = Look()
        look.add(.note, .drop, path, "\(why) The runner moves it to quarantine.")
        return look
    }

    private func drop(_ file: OpenFile, _ status: stat) throws(QueueError) -> Look {
        guard status.st_nlink <= 1 else { return refused(file.path, "It has \(status.st_nlink) links, not one.") }
        var look = Look()
        // Somebody writes it, or the runner takes it, this moment.
        guard status.st_nlink == 1, try files.isDead(file) else { return look }
        look.counts.drops = 1
        guard try files.canRead(file) else {
            look.counts.sealed = 1
            return look
        }
        let age = clock.now().seconds.subtractingReportingOverflow(Int64(status.st_mtim.tv_sec)).partialValue
        let isRecent = age < OfflinePickup.incompleteSeconds
        do throws(QueueError) {
            let reader = try files.segment(file, in: .offline)
            let scan = try reader.scan(
                from: SegmentHeader.firstRecord, limit: Int64(status.st_size), verifyingContent: true)
            let isWhole = scan.messages.count == 1 && scan.damage.isEmpty
            if isWhole, reader.header.role == .submitter { return look }
        } catch {
            guard error.kind == .corrupt else { throw error }
        }
        look.add(
            isRecent ? .note : .fault, .drop, file.path,
            isRecent
                ? "It does not hold one whole message, and may be written still."
                : "It does not hold one whole message. The runner moves it to quarantine.")
        return look
    }

    // MARK: Other files

    func spare(_ name: String, _ directory: Directory) -> Look {
        let path = "\(directory.path)/\(name)"
        do throws(QueueError) {
            guard let status = try directory.status(of: name) else { return Look() }
            var look = Look()
            look.counts.spares = 1
            let owner = try directory.handle.status().st_uid
            if status.st_mode & S_IFMT != S_IFREG {
                look.add(.fault, .spare, path, "It is not a regular file. Move it away.")
            } else if Int64(status.st_size) < Spares.segmentSize || status.st_nlink != 1 || status.st_uid != owner {
                look.add(
                    .note, .spare, path,
                    "It is too small, has several names, or belongs to another user: it will never be used. Remove it.")
            }
            return look
        } catch {
            return .failed(.spare, path, error)
        }
    }

    mutating func checkSpareCount(_ names: [String], _ directory: Directory) {
        let count = names.count { $0.hasPrefix(Spares.prefix) }
        // One more may come up while another is being taken.
        guard count > Spares.limit + 1 else { return }
        report.findings.append(
            CheckFinding(
                .note, .spare, directory.path,
                "It holds \(count) spares of 16 MiB, where \(Spares.limit) are kept. Those that are too many may be removed."
            ))
    }

    /// A file that was not finished when its writer died, unless it is being written.
    func unfinished(_ name: String, _ directory: Directory) -> Look {
        do throws(QueueError) {
            guard case .file(let file, _) = try files.open(name, in: directory) else {
                return stranger(name, directory)
            }
            var look = Look()
            guard try files.isDead(file) else { return look }
            look.add(
                .note, .leftover, file.path, "It was not finished, as a crash leaves it. The next start removes it.")
            return look
        } catch {
            return .failed(.leftover, "\(directory.path)/\(name)", error)
        }
    }

    func stranger(_ name: String, _ directory: Directory) -> Look {
        do throws(QueueError) {
            var look = Look()
            guard try directory.status(of: name) != nil else { return look }
            look.add(
                .fault, .stranger, "\(directory.path)/\(name)",
                "It is nothing of the queue's. Find out who put it there, and move it away.")
            return look
        } catch {
            return .failed(.stranger, "\(directory.path)/\(name)", error)
        }
    }

    // MARK: Quarantine

    /// Octets of a reason that are read.
    private static let reasonLimit = 2000
    private static let reasonSuffix = ".reason"

    mutating func checkQuarantine() throws(QueueError) {
        let names = try files.quarantine.names().sorted()
        let all = Set(names)
        for name in names {
            if name.hasPrefix("tmp.") {
                let directory = files.quarantine
                look { $0.unfinished(name, directory) }
            } else if !name.hasSuffix(Self.reasonSuffix) {
                look { $0.quarantined(name) }
            } else if !all.contains(String(name.dropLast(Self.reasonSuffix.count))) {
                look { $0.lonelyReason(name) }
            }
        }
    }

    private func quarantined(_ name: String) -> Look {
        let path = "\(files.quarantine.path)/\(name)"
        do throws(QueueError) {
            var look = Look()
            guard let status = try files.quarantine.status(of: name) else { return look }
            look.counts.quarantined = 1
            let why = try reason(name + Self.reasonSuffix) ?? "Nobody wrote down why it is here."
            look.add(.note, .quarantine, path, "\(why) It has \(status.st_size) octets.")
            return look
        } catch {
            return .failed(.quarantine, path, error)
        }
    }

    /// The first line.
    private func reason(_ name: String) throws(QueueError) -> String? {
        guard case .file(let file, _) = try files.open(name, in: files.quarantine) else { return nil }
        let line = try file.read(Self.reasonLimit, at: 0).prefix { $0 != UInt8(ascii: "\n") }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }

    private func lonelyReason(_ name: String) -> Look {
        do throws(QueueError) {
            var look = Look()
            guard try files.quarantine.status(of: name) != nil,
                try files.quarantine.status(of: String(name.dropLast(Self.reasonSuffix.count))) == nil
            else { return look }
            look.add(
                .note, .leftover, "\(files.quarantine.path)/\(name)",
                "It is a reason without its file, as a crash leaves it. It may be removed.")
            return look
        } catch {
            return .failed(.leftover, "\(files.quarantine.path)/\(name)", error)
        }
    }
}
