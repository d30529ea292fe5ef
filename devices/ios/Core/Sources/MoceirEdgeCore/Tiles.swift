/// Pictures of any size, in overlapping tiles that fade into each other, as `moceir_edge.tiling` does it.
public enum Tiles {
    /// Pixels that a tile gives up to each neighbour; small ones, which a fixed size may force, an eighth.
    public static let overlap = 32

    /// Up to here, about two megapixels, a picture is restored whole where any size is served; larger ones in such tiles.
    static let wholePixels = 1 << 21
    static let autoTile = 768

    /// Restore a picture; told(done, all) after each tile. The least agreement of all tiles is that of the picture.
    public static func restore(
        _ picture: Planes, with session: Session, told: (Int, Int) -> Void = { _, _ in }
    ) throws -> Outputs {
        let served = session.served ?? tile(height: picture.height, width: picture.width)
        let tops = starts(picture.height, side: served.height)
        let lefts = starts(picture.width, side: served.width)
        if tops.count * lefts.count == 1 {
            let only = try padded(picture, served, session)
            told(1, 1)
            return only
        }
        var total = Planes.zeros(height: picture.height, width: picture.width)
        var weights = [Float](repeating: 0, count: picture.height * picture.width)
        var agreement: Double?
        var scores = [[[Double]]]()
        var done = 0
        for top in tops {
            for left in lefts {
                let part = picture.cropped(top: top, left: left, height: served.height, width: served.width)
                let found = try padded(part, served, session)
                add(found.restored, to: &total, weights: &weights, top: top, left: left)
                if let seen = found.agreement { agreement = min(agreement ?? 1, seen) }
                scores += found.scores
                done += 1
                told(done, tops.count * lefts.count)
            }
        }
        let area = picture.height * picture.width
        for index in total.data.indices { total.data[index] /= weights[index % area] }
        return Outputs(restored: total, agreement: agreement, scores: scores)
    }

    /// The tile for a picture of a size where any is served.
    static func tile(height: Int, width: Int) -> (height: Int, width: Int) {
        if height * width > wholePixels { return (height: autoTile, width: autoTile) }
        return (height: upTo(height), width: upTo(width))
    }

    /// Starts of tiles that cover a length, the last one flush with its end.
    public static func starts(_ length: Int, side: Int) -> [Int] {
        if length <= side { return [0] }
        let step = max(Planes.multiple, side - 2 * overlapOf(side))
        return Array(stride(from: 0, to: length - side, by: step)) + [length - side]
    }

    /// (height, width): 1 inside, falling linearly over what neighbours share towards every edge, never 0.
    public static func fade(height: Int, width: Int) -> [Float] {
        let rows = ramp(height)
        let columns = ramp(width)
        return rows.flatMap { row in columns.map { row * $0 } }
    }

    private static func ramp(_ length: Int) -> [Float] {
        let shared = Float(max(1, 2 * overlapOf(length)))
        return (0..<length).map { min(Float(min($0, length - 1 - $0) + 1) / shared, 1) }
    }

    private static func overlapOf(_ side: Int) -> Int {
        min(overlap, side / 8)
    }

    private static func upTo(_ length: Int) -> Int {
        (length + Planes.multiple - 1) / Planes.multiple * Planes.multiple
    }

    private static func padded(
        _ picture: Planes, _ served: (height: Int, width: Int), _ session: Session
    ) throws -> Outputs {
        let found = try session.run(picture.padded(height: served.height, width: served.width))
        let restored = found.restored.cropped(top: 0, left: 0, height: picture.height, width: picture.width)
        return Outputs(restored: restored, agreement: found.agreement, scores: found.scores)
    }

    private static func add(_ tile: Planes, to total: inout Planes, weights: inout [Float], top: Int, left: Int) {
        let shade = fade(height: tile.height, width: tile.width)
        for row in 0..<tile.height {
            let start = (top + row) * total.width + left
            for column in 0..<tile.width {
                let weight = shade[row * tile.width + column]
                weights[start + column] += weight
                for channel in 0..<3 {
                    let from = (channel * tile.height + row) * tile.width + column
                    total.data[channel * total.height * total.width + start + column] += tile.data[from] * weight
                }
            }
        }
    }
}
