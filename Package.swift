// swift-tools-version: 6.2
import PackageDescription

/// Warnings are errors everywhere: a warning is a question nobody answered.
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
    name: "pouch",
    products: [
        .executable(name: "mail-enqueue", targets: ["mail-enqueue"]),
        .executable(name: "mail-listen", targets: ["mail-listen"]),
        .executable(name: "mail-relay", targets: ["mail-relay"]),
        .executable(name: "mail-queue", targets: ["mail-queue"]),
        .executable(name: "mail-expand", targets: ["mail-expand"]),
        .executable(name: "mail-supervise", targets: ["mail-supervise"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
    ],
    targets: [
        // System libraries: a module map and a shim, nothing else.
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLinux", linkerSettings: [.linkedLibrary("resolv")]),

        // Libraries. Arrows point down only: each names what it may know.
        .target(name: "MailModel", swiftSettings: strict),
        .target(name: "SMTPProtocol", dependencies: ["MailModel"], swiftSettings: strict),
        .target(
            name: "QueueKit",
            dependencies: [
                "MailModel", "CLinux", "COpenSSL", "CZlib", system,
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: strict),
        .target(name: "Routing", dependencies: ["MailModel", "CLinux", system], swiftSettings: strict),
        .target(
            name: "Transport",
            dependencies: ["SMTPProtocol", "MailModel", "CLinux"] + nio,
            swiftSettings: strict),
        .target(
            name: "CommandKit",
            dependencies: ["CLinux", "MailModel", logging, system],
            swiftSettings: strict),
        // Apart, because it brings FoundationEssentials: mail-enqueue starts without it.
        .target(name: "CommandArguments", dependencies: ["CommandKit", arguments], swiftSettings: strict),

        // Where keys come from and where they go: what mail-enqueue, which has none, does without.
        .target(
            name: "KeyKit", dependencies: ["CommandKit", "QueueKit", "Routing", "MailModel", system],
            swiftSettings: strict),

        // Programs: arguments and wiring.
        .executableTarget(
            name: "mail-enqueue",
            dependencies: ["CommandKit", "QueueKit", "Routing", "SMTPProtocol", "MailModel", system],
            swiftSettings: strict),
        .executableTarget(
            name: "mail-listen",
            dependencies: [
                "CommandKit", "CommandArguments", "KeyKit", "QueueKit", "Routing", "Transport", "SMTPProtocol",
                "MailModel",
                arguments, logging, system,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "mail-relay",
            dependencies: [
                "CLinux", "CommandKit", "CommandArguments", "KeyKit", "QueueKit", "Routing", "Transport",
                "SMTPProtocol", "MailModel", arguments, logging, system,
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "mail-queue",
            dependencies: [
                "CommandKit", "CommandArguments", "KeyKit", "QueueKit", "Routing", "MailModel", arguments, system,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "mail-expand",
            dependencies: ["CommandKit", "CommandArguments", "Routing", "MailModel", arguments, system],
            swiftSettings: strict),
        .executableTarget(
            name: "mail-supervise",
            dependencies: [
                "CommandKit", "CommandArguments", "KeyKit", "QueueKit", "Routing", arguments, logging, system,
            ],
            swiftSettings: strict),

        // Measures; installed by nobody.
        .executableTarget(
            name: "seal-benchmark", dependencies: ["QueueKit"], path: "Benchmarks/seal",
            exclude: ["run"], swiftSettings: strict),

        .testTarget(name: "MailModelTests", dependencies: ["MailModel"], swiftSettings: strict),
        .testTarget(
            name: "SMTPProtocolTests", dependencies: ["SMTPProtocol", "MailModel"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "QueueKitTests", dependencies: ["QueueKit", "MailModel", system],
            exclude: ["Vectors"], swiftSettings: strict),
        .testTarget(
            name: "RoutingTests", dependencies: ["Routing", "MailModel"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "TransportTests", dependencies: ["Transport", "SMTPProtocol", "MailModel"], swiftSettings: strict),
        .testTarget(
            name: "KeyKitTests", dependencies: ["KeyKit", "CommandKit", "QueueKit", "Routing", system],
            swiftSettings: strict),
        .testTarget(
            name: "MailEnqueueTests",
            dependencies: ["mail-enqueue", "CommandKit", "QueueKit", "Routing", "SMTPProtocol", "MailModel", system],
            swiftSettings: strict),
        .testTarget(
            name: "MailListenTests",
            dependencies: [
                "mail-listen", "CommandKit", "QueueKit", "Routing", "Transport", "SMTPProtocol", "MailModel", logging,
                system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "MailRelayTests",
            dependencies: [
                "mail-relay", "CommandKit", "QueueKit", "Routing", "Transport", "SMTPProtocol", "MailModel", logging,
                system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandKitTests",
            dependencies: ["CommandKit", "CommandArguments", "MailModel", logging, arguments, system],
            swiftSettings: strict),
    ]
)
