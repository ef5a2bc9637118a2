// Owns: the public key as submit.conf names it, checked against its id. Refuses: the file.

extension PublicKey {
    /// Reads a key with the id that must be its own: a line that was cut or mixed up with another file's is told.
    ///
    /// - Parameters:
    ///   - text: 64 lowercase hexadecimal digits.
    ///   - id: sixteen.
    ///   - place: for the sentence, `/etc/pouch/submit.conf`.
    /// - Throws: SealError `.malformed`.
    public init(_ text: String, id: String, of place: String) throws(SealError) {
        let operation = "use the public key of \(place)"
        guard let key = PublicKey(text) else {
            throw SealError(
                .malformed, operation,
                "it is not 64 lowercase hexadecimal digits. Write the file with `mail-queue init`.")
        }
        guard key.id.description == id else {
            throw SealError(
                .malformed, operation,
                "its id is \(key.id), and the file says another. Write the file with `mail-queue init`.")
        }
        self = key
    }
}
