/// What a model gives: the restored picture, not clipped, and what the guard reads.
public struct Outputs {
    public let restored: Planes
    /// nil without routers.
    public let agreement: Double?
    /// Of each tile, layer by layer, one score for each expert; none without routers.
    public let scores: [[[Double]]]

    public init(restored: Planes, agreement: Double? = nil, scores: [[[Double]]] = []) {
        self.restored = restored
        self.agreement = agreement
        self.scores = scores
    }
}

/// A loaded model; it serves one size, or any multiple of 8 where there is none.
public protocol Session {
    var served: (height: Int, width: Int)? { get }
    func run(_ picture: Planes) throws -> Outputs
}
