import Foundation

/// When the warm-up is over, and when the second half of a run is slower than the first: `devices/runner/steady.py`.
public enum Steady {
    static let window = 5
    static let tolerance = 0.03
    static let noisiest = 0.15
    static let least = 2 * window
    static let most = 300
    static let mostS = 60.0
    static let slowdown = 0.05

    /// Mean square of logarithms that differ by rounding alone: equal runs leave it behind, and it is no correlation.
    static let rounding = 1e-24

    public static let criterion =
        "the medians of the last 5 runs and of the 5 before them differ by at most 3%, or by what their scatter "
        + "explains, which may be no more than 15%; judged for at most 300 runs or 60 s"

    /// Whether the last runs are as fast as those before them.
    public static func isSteady(_ runsMs: [Double]) -> Bool {
        guard runsMs.count >= least else { return false }
        let before = Array(runsMs.suffix(least).prefix(window))
        let after = Array(runsMs.suffix(window))
        let (centre, later) = (median(before), median(after))
        let scatter = median(before.map { abs($0 - centre) } + after.map { abs($0 - later) })
        let shared = (2 / Double(window)).squareRoot()
        let explained: Double = 1.96 * 1.4826 * scatter * 1.2533 * shared / centre
        return abs(later / centre - 1) <= max(tolerance, min(noisiest, explained))
    }

    /// How many runs in a row count as one: 1 where they are independent (Sokal's sum, cut at its first window).
    static func autocorrelationTime(_ values: [Double]) -> Double {
        let logs = values.map { log($0) }
        let mean = logs.reduce(0, +) / Double(logs.count)
        let series = logs.map { $0 - mean }
        let power = series.reduce(0) { $0 + $1 * $1 }
        guard series.count >= 4, power > Double(series.count) * rounding else { return 1 }
        var total = 1.0
        for lag in 1...(series.count / 4) {
            let product = zip(series, series.dropFirst(lag)).reduce(0) { $0 + $1.0 * $1.1 }
            total += 2 * product / power
            if Double(lag) >= 5 * total { break }
        }
        return max(1, total)
    }

    /// A quantile with its 95 % interval from the order statistics, and whether there are runs for both ends.
    public static func interval(_ values: [Double], _ share: Double) -> (value: Double, low: Double, high: Double, whole: Bool) {
        let ordered = values.sorted()
        let n = Double(ordered.count)
        let apart = 1.96 * (n * share * (1 - share) * autocorrelationTime(values)).squareRoot()
        let low = Int((n * share - apart).rounded(.down))
        let high = Int((n * share + apart).rounded(.up))
        func at(_ rank: Int) -> Double { ordered[min(max(rank, 0), ordered.count - 1)] }
        let value = quantile(ordered, share)
        return (value, min(value, at(low)), max(value, at(high)), low >= 0 && high < ordered.count)
    }

    /// How much slower the later half is, as a share; nil where it is not, beyond what scatter explains.
    public static func slowerLater(_ runsMs: [Double]) -> Double? {
        let half = runsMs.count / 2
        guard half >= window else { return nil }
        let earlier = interval(Array(runsMs[..<half]), 0.5)
        let later = interval(Array(runsMs[half...]), 0.5)
        return later.low > earlier.high * (1 + slowdown) ? later.value / earlier.value - 1 : nil
    }

    /// Between the two nearest, linearly; of sorted values.
    private static func quantile(_ ordered: [Double], _ share: Double) -> Double {
        let place = share * Double(ordered.count - 1)
        let below = Int(place.rounded(.down))
        let above = min(below + 1, ordered.count - 1)
        return ordered[below] + (place - Double(below)) * (ordered[above] - ordered[below])
    }

    private static func median(_ values: [Double]) -> Double {
        quantile(values.sorted(), 0.5)
    }
}
