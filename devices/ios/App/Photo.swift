import MoceirEdgeCore
import UIKit

/// Photos as 8-bit RGBA in sRGB, upright, and back.
enum Photo {
    /// Larger ones do not fit into an app's memory beside the model.
    static let mostPixels = 30_000_000

    static func rgba(of data: Data) throws -> (bytes: [UInt8], height: Int, width: Int) {
        guard let image = UIImage(data: data), let source = image.cgImage else {
            throw Problem("this photo cannot be read: choose another one")
        }
        let sideways = [.left, .leftMirrored, .right, .rightMirrored].contains(image.imageOrientation)
        let (width, height) = sideways ? (source.height, source.width) : (source.width, source.height)
        guard width > 0, height > 0 else { throw Problem("this photo has no pixels: choose another one") }
        guard width * height <= mostPixels else {
            throw Problem("this photo has \(width * height / 1_000_000) megapixels, and 30 are served: choose a smaller one")
        }
        var bytes = [UInt8](repeating: 0, count: 4 * width * height)
        try bytes.withUnsafeMutableBytes { raw in
            guard let canvas = context(raw.baseAddress, height: height, width: width) else {
                throw Problem("no memory for this photo: choose a smaller one")
            }
            UIGraphicsPushContext(canvas)
            canvas.translateBy(x: 0, y: CGFloat(height))
            canvas.scaleBy(x: 1, y: -1)
            image.draw(in: CGRect(x: 0, y: 0, width: width, height: height))
            UIGraphicsPopContext()
        }
        return (bytes, height, width)
    }

    static func image(_ bytes: [UInt8], height: Int, width: Int) throws -> UIImage {
        var bytes = bytes
        let made = bytes.withUnsafeMutableBytes { context($0.baseAddress, height: height, width: width)?.makeImage() }
        guard let made else { throw Problem("no memory for the restored photo: choose a smaller one") }
        return UIImage(cgImage: made)
    }

    private static func context(_ data: UnsafeMutableRawPointer?, height: Int, width: Int) -> CGContext? {
        CGContext(
            data: data, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
            space: CGColorSpace(name: CGColorSpace.sRGB)!, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
    }
}
