/// A picture as planes (3, height, width) of floats in [0, 1], sRGB.
///
/// Padding and cutting are what Python does (`moceir_edge.runner.pad`); both are tested with the same vectors.
public struct Planes: Equatable {
    /// Sides of served pictures are multiples of this.
    public static let multiple = 8

    public let height: Int
    public let width: Int
    public var data: [Float]

    public init(height: Int, width: Int, data: [Float]) {
        precondition(data.count == 3 * height * width, "three planes of \(height)x\(width) values")
        self.height = height
        self.width = width
        self.data = data
    }

    public static func zeros(height: Int, width: Int) -> Planes {
        Planes(height: height, width: width, data: [Float](repeating: 0, count: 3 * height * width))
    }

    /// 8-bit RGBA pixels; alpha is left out.
    public init(rgba: [UInt8], height: Int, width: Int) {
        let area = height * width
        var data = [Float](repeating: 0, count: 3 * area)
        for pixel in 0..<area {
            for channel in 0..<3 {
                data[channel * area + pixel] = Float(rgba[4 * pixel + channel]) / 255
            }
        }
        self.init(height: height, width: width, data: data)
    }

    /// Opaque 8-bit RGBA of source + strength (self - source), clipped and rounded half to even; source: 8-bit RGBA.
    ///
    /// A Problem where a value is NaN or infinite: a black or a white pixel would hide it.
    public func rgba(over source: [UInt8], strength: Double = 1) throws -> [UInt8] {
        guard data.allSatisfy({ $0.isFinite }) else {
            throw Problem(
                "the model gives NaN or infinity on this picture: choose another picture, or export the model again")
        }
        let area = height * width
        var rgba = [UInt8](repeating: 255, count: 4 * area)
        for channel in 0..<3 {
            for pixel in 0..<area {
                let given = Double(source[4 * pixel + channel])
                let mixed = given + strength * (255 * Double(data[channel * area + pixel]) - given)
                rgba[4 * pixel + channel] = UInt8(min(max(mixed, 0), 255).rounded(.toNearestOrEven))
            }
        }
        return rgba
    }

    /// The part from (top, left), at most height x width.
    public func cropped(top: Int, left: Int, height: Int, width: Int) -> Planes {
        let rows = min(height, self.height - top)
        let columns = min(width, self.width - left)
        var data = [Float]()
        data.reserveCapacity(3 * rows * columns)
        for channel in 0..<3 {
            for row in 0..<rows {
                let start = (channel * self.height + top + row) * self.width + left
                data += self.data[start..<start + columns]
            }
        }
        return Planes(height: rows, width: columns, data: data)
    }

    /// Padded right and below, by reflection, by edge where a side is too short for that.
    public func padded(height: Int, width: Int) -> Planes {
        let rows = Planes.sources(self.height, height)
        let columns = Planes.sources(self.width, width)
        var data = [Float]()
        data.reserveCapacity(3 * height * width)
        for channel in 0..<3 {
            for row in rows {
                let start = (channel * self.height + row) * self.width
                for column in columns {
                    data.append(self.data[start + column])
                }
            }
        }
        return Planes(height: height, width: width, data: data)
    }

    /// Which index of a side each index of the padded one shows.
    private static func sources(_ length: Int, _ padded: Int) -> [Int] {
        let reflects = padded - length < length
        return (0..<padded).map { index in
            if index < length { return index }
            return reflects ? 2 * (length - 1) - index : length - 1
        }
    }
}
