import Foundation

/// The two kinds of .npy file that an artifact carries: (1, 3, H, W) uint8 and float32, in C order.
public enum Npy {
    /// A picture in [0, 1]: bytes are divided by 255, floats stay as they are.
    public static func planes(_ bytes: Data) throws -> Planes {
        let bytes = [UInt8](bytes)
        guard bytes.count > 12, Array(bytes[0..<6]) == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59] else {
            throw Problem("a golden picture is no .npy file: copy the bundle again")
        }
        let long = bytes[6] > 1
        let before = long ? 12 : 10
        var length = 0
        for place in (8..<before).reversed() { length = length << 8 + Int(bytes[place]) }
        let start = before + length
        guard start <= bytes.count, let header = String(bytes: bytes[before..<start], encoding: .ascii) else {
            throw Problem("a golden picture is cut short: copy the bundle again")
        }
        let sides = try shape(in: header)
        let count = 3 * sides.height * sides.width
        if header.contains("'|u1'"), bytes.count == start + count {
            return Planes(height: sides.height, width: sides.width, data: bytes[start...].map { Float($0) / 255 })
        }
        if header.contains("'<f4'"), bytes.count == start + 4 * count {
            let values = bytes[start...].withUnsafeBytes { raw in
                (0..<count).map { Float(bitPattern: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self).littleEndian) }
            }
            return Planes(height: sides.height, width: sides.width, data: values)
        }
        throw Problem("a golden picture is of another kind or cut short: copy the bundle again")
    }

    private static func shape(in header: String) throws -> (height: Int, width: Int) {
        let inside = header.components(separatedBy: "'shape': (").last?.components(separatedBy: ")").first ?? ""
        let sides = inside.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
        guard sides.count == 4, sides[0] == 1, sides[1] == 3, sides[2] > 0, sides[3] > 0, header.contains("'fortran_order': False")
        else { throw Problem("a golden picture has another shape than (1, 3, H, W): copy the bundle again") }
        return (sides[2], sides[3])
    }
}
