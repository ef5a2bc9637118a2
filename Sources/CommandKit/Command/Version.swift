// Owns: the version of all programs; they are built and installed together. Refuses: build dates and hosts, which would
// make two builds of one source differ.

public enum Version {
    /// Printed by `--version`.
    public static let text = "Pouch 0.1"
}
