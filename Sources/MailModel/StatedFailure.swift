// Owns: the form in which any library tells a program how to end. Refuses: printing, knowing programs.

/// An error that is ready for a person and for a script.
public protocol StatedFailure: Error {
    /// sysexits(3), 64 to 78.
    var exitStatus: Int32 { get }
    /// What failed, on what, why, what to do: a sentence or two on the first line; further lines show the place.
    var statement: [String] { get }
}
