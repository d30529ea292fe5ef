import Foundation

/// PSNR in dB of two pictures, unclipped, peak 1; infinity where they are equal, NaN where a value of one is not finite.
public func psnr(_ one: Planes, _ other: Planes) -> Double {
    precondition(one.height == other.height && one.width == other.width, "pictures of one size")
    var sum = 0.0
    for (a, b) in zip(one.data, other.data) {
        let difference = Double(a) - Double(b)
        sum += difference * difference
    }
    let error = sum / Double(one.data.count)
    return error.isFinite ? -10 * log10(error) : .nan
}
