import CEdgeClassifier
import Foundation

/// RGB pixels, 8 bits a channel, row by row.
struct Rgb {
    let data: [UInt8]
    let height: Int
    let width: Int
}

extension Rgb {
    /// The pixels of a PNG file over white, upright; nil for a file of another kind.
    init?(png content: Data) throws {
        let file = [UInt8](content)
        guard edgecnn_is_png(file, file.count) != 0 else { return nil }
        var (height, width): (UInt32, UInt32) = (0, 0)
        try Rgb.check(edgecnn_png_size(file, file.count, &height, &width))
        var data = [UInt8](repeating: 0, count: 3 * Int(height) * Int(width))
        var orientation: Int32 = 1
        try Rgb.check(edgecnn_png_decode(file, file.count, &data, &orientation))
        self = Rgb(data: data, height: Int(height), width: Int(width)).turned(Int(orientation))
    }

    /// The colors of a camera's frame, or of other pixels that C describes.
    init(_ frame: edgecnn_frame) throws {
        self.init(
            data: try Rgb.resized(frame, height: Int(frame.height), width: Int(frame.width), channels: 3),
            height: Int(frame.height), width: Int(frame.width))
    }

    /// The pixels as EXIF orientation 1 to 8 wants them shown; any other number is as 1.
    func turned(_ orientation: Int) -> Rgb {
        guard (2...8).contains(orientation) else { return self }
        var turned = [UInt8](repeating: 0, count: data.count)
        edgecnn_turn(data, UInt32(height), UInt32(width), Int32(orientation), &turned)
        return orientation < 5
            ? Rgb(data: turned, height: height, width: width) : Rgb(data: turned, height: width, width: height)
    }

    /// The pixels in another size, in integers, and their luma where there is one channel.
    func resized(height: Int, width: Int, channels: Int) throws -> [UInt8] {
        try data.withUnsafeBufferPointer { pixels in
            let frame = edgecnn_frame(
                format: EDGECNN_RGB888, height: UInt32(self.height), width: UInt32(self.width),
                pixels: pixels.baseAddress, stride: 3 * self.width, chroma: nil, chroma_stride: 0)
            return try Rgb.resized(frame, height: height, width: width, channels: channels)
        }
    }

    private static func resized(_ frame: edgecnn_frame, height: Int, width: Int, channels: Int) throws -> [UInt8] {
        let size = edgecnn_resize_scratch(frame.height, frame.width, UInt32(height), UInt32(width))
        var scratch = [UInt32](repeating: 0, count: size / 4 + 1)
        var pixels = [UInt8](repeating: 0, count: height * width * channels)
        let code = withUnsafePointer(to: frame) {
            edgecnn_resize($0, &pixels, UInt32(height), UInt32(width), UInt32(channels), &scratch)
        }
        guard code == 0 else { throw ClassifierError(description: "An image has from 1 to 65,535 pixels a side.") }
        return pixels
    }

    private static func check(_ code: Int32) throws {
        if code == EDGECNN_TOO_LARGE {
            throw ClassifierError(description: "The image has more than 100 million pixels, or memory is short; make it smaller.")
        }
        if code != 0 { throw ClassifierError(description: "The PNG file is damaged or cut short; copy or save it again.") }
    }
}

#if !canImport(ImageIO)
extension Rgb {
    /// The pixels of an image file over white, upright: only of PNG files, where there is no ImageIO.
    init(file content: Data) throws {
        guard let image = try Rgb(png: content) else {
            throw ClassifierError(description: "This is not a PNG file, and other files need Apple's ImageIO.")
        }
        self = image
    }
}
#endif
