import Foundation

/// What was wrong and what to do, in one line.
public struct Problem: Error, LocalizedError, Equatable {
    public let text: String

    public init(_ text: String) {
        self.text = text
    }

    public var errorDescription: String? { text }
}
