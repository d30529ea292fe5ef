/// Runs of one picture in milliseconds: the first, those until the device was steady, and those that count.
public struct Timings {
    public let size: (height: Int, width: Int)
    public let loadMs: Double
    public let firstMs: Double
    public let warmUpMs: [Double]
    public let steady: Bool
    public let runsMs: [Double]
    public let beganS: [Double]

    static let shares = [("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99)]

    public var median: (value: Double, low: Double, high: Double, whole: Bool) { Steady.interval(runsMs, 0.5) }

    /// Percentiles without enough runs for both ends of their interval.
    var short: [String] { Timings.shares.filter { !Steady.interval(runsMs, $0.1).whole }.map { $0.0 } }

    func json() -> [String: Any] {
        var percentiles = [String: Any]()
        for (name, share) in Timings.shares {
            let found = Steady.interval(runsMs, share)
            percentiles[name] = ["value": found.value, "low": found.low, "high": found.high]
        }
        return [
            "size": [size.height, size.width],
            "load_ms": loadMs,
            "first_ms": firstMs,
            "warm_up_ms": warmUpMs,
            "steady": steady,
            "criterion": Steady.criterion,
            "runs_ms": runsMs,
            "began_s": beganS,
            "percentiles": percentiles,
            "per_second": 1e3 * Double(runsMs.count) / runsMs.reduce(0, +),
        ]
    }
}
