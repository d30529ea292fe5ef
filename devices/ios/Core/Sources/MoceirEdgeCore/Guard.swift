import Foundation

/// Whether a picture is one of those that the model was made for: the rule that `moceir_edge/guarding.py` defines.
public struct Guard: Decodable {
    public let pictures: [[Double]]
    public let neighbours: Int
    public let floor: Double
    public let threshold: Double

    /// The rule of an artifact; nil where it has none.
    public static func rule(artifact: URL) throws -> Guard? {
        struct Facts: Decodable { let `guard`: Guard? }
        let bytes = try Data(contentsOf: artifact.appendingPathComponent("artifact.json"))
        return try JSONDecoder().decode(Facts.self, from: bytes).guard
    }

    /// tiles: the scores (layers, experts) of each tile of a picture, one for a whole one. distance: nil for no number.
    public func verdict(_ tiles: [[[Double]]]) -> (distance: Double?, foreign: Bool) {
        let logs = tiles.map { tile in tile.flatMap { $0 }.map { log(max($0, floor)) } }
        let mean = logs[0].indices.map { index in logs.reduce(0) { $0 + $1[index] } / Double(logs.count) }
        let distances = pictures.map { Guard.apart($0, mean) }
        guard distances.allSatisfy(\.isFinite) else { return (nil, true) }
        let distance = distances.sorted().prefix(neighbours).reduce(0, +) / Double(neighbours)
        return (distance, !(distance <= threshold))
    }

    private static func apart(_ one: [Double], _ other: [Double]) -> Double {
        var sum = 0.0
        for (a, b) in zip(one, other) { sum += (a - b) * (a - b) }
        return (sum / Double(one.count)).squareRoot()
    }

    /// What to say of a restored picture; nil where it looks like the tasks of the model, or nobody can tell.
    public func warning(_ outputs: Outputs, tasks: [String]) -> String? {
        guard !outputs.scores.isEmpty else { return nil }
        let found = verdict(outputs.scores)
        guard found.foreign else { return nil }
        let shown = found.distance.map { String(format: "%.2f", $0) } ?? "no number"
        let limit = String(format: "%.2f", threshold)
        return "This photo does not look like \(tasks.joined(separator: ", ")) (routing distance \(shown), limit \(limit)): "
            + "another model may be right for it."
    }
}
