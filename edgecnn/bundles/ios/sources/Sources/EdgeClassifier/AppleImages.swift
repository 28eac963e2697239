#if canImport(ImageIO)
import CEdgeClassifier
import CoreVideo
import Foundation
import ImageIO

extension EdgeClassifier {
    /// The labels of an image, the most probable first, turned as `orientation` says.
    public func classify(_ image: CGImage, orientation: CGImagePropertyOrientation = .up) throws -> [Label] {
        try classify(Rgb(image).turned(Int(orientation.rawValue)))
    }

    /// The same of a camera's frame: kCVPixelFormatType_32BGRA, or 420YpCbCr8BiPlanarFullRange.
    public func classify(_ frame: CVPixelBuffer, orientation: CGImagePropertyOrientation = .up) throws -> [Label] {
        try classify(Rgb(frame).turned(Int(orientation.rawValue)))
    }
}

extension Rgb {
    private static let maxPixels = 100_000_000

    /// The pixels of an image file over white, upright. PNG files are decoded here, the others by ImageIO.
    init(file content: Data) throws {
        if let image = try Rgb(png: content) {
            self = image
            return
        }
        guard let source = CGImageSourceCreateWithData(content as CFData, nil),
            let facts = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any],
            let height = facts[kCGImagePropertyPixelHeight] as? Int,
            let width = facts[kCGImagePropertyPixelWidth] as? Int
        else { throw ClassifierError(description: "This is not an image that ImageIO decodes, or its beginning is damaged.") }
        guard height * width <= Rgb.maxPixels else {
            throw ClassifierError(description: "The image has \(width) x \(height) pixels; make it smaller.")
        }
        guard let image = CGImageSourceCreateImageAtIndex(source, 0, nil) else {
            throw ClassifierError(description: "The image is damaged or cut short; copy or save it again.")
        }
        self = try Rgb(image).turned(facts[kCGImagePropertyOrientation] as? Int ?? 1)
    }

    /// The values of an image over white. They are drawn in the image's own color space: its colors are not converted.
    ///
    /// A premultiplied value is the rounded `color * alpha / 255`, so that adding `255 - alpha` composites it over white.
    init(_ image: CGImage) throws {
        let isGray = image.colorSpace?.model == .monochrome && [.none, .noneSkipLast].contains(image.alphaInfo)
        let own = image.colorSpace.flatMap { ($0.model == .rgb || isGray) && $0.supportsOutput ? $0 : nil }
        let channels = isGray && own != nil ? 1 : 4
        guard let space = own ?? CGColorSpace(name: CGColorSpace.sRGB) else {
            throw ClassifierError(description: "The image's colors cannot be read; convert it to sRGB.")
        }
        let (height, width) = (image.height, image.width)
        let kind = channels == 1 ? CGImageAlphaInfo.none : .premultipliedLast
        var drawn = [UInt8](repeating: 0, count: height * width * channels)
        let isDrawn = drawn.withUnsafeMutableBytes { bytes in
            guard
                let context = CGContext(
                    data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8,
                    bytesPerRow: width * channels, space: space, bitmapInfo: kind.rawValue)
            else { return false }
            context.setBlendMode(.copy)
            context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        guard isDrawn else { throw ClassifierError(description: "The image cannot be read; give a smaller one.") }
        var data = [UInt8](repeating: 0, count: 3 * height * width)
        for pixel in 0..<height * width {
            for c in 0..<3 {
                data[3 * pixel + c] =
                    channels == 1 ? drawn[pixel] : UInt8(min(255, Int(drawn[4 * pixel + c]) + 255 - Int(drawn[4 * pixel + 3])))
            }
        }
        self.init(data: data, height: height, width: width)
    }

    /// The colors of a camera's frame.
    init(_ buffer: CVPixelBuffer) throws {
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
        switch CVPixelBufferGetPixelFormatType(buffer) {
        case kCVPixelFormatType_420YpCbCr8BiPlanarFullRange:
            let planes = (0..<2).map { CVPixelBufferGetBaseAddressOfPlane(buffer, $0)?.assumingMemoryBound(to: UInt8.self) }
            try self.init(
                edgecnn_frame(
                    format: EDGECNN_NV12, height: UInt32(height), width: UInt32(width), pixels: planes[0],
                    stride: CVPixelBufferGetBytesPerRowOfPlane(buffer, 0), chroma: planes[1],
                    chroma_stride: CVPixelBufferGetBytesPerRowOfPlane(buffer, 1)))
        case kCVPixelFormatType_32BGRA:
            guard let base = CVPixelBufferGetBaseAddress(buffer)?.assumingMemoryBound(to: UInt8.self) else {
                throw ClassifierError(description: "The frame has no pixels.")
            }
            let stride = CVPixelBufferGetBytesPerRow(buffer)
            var data = [UInt8](repeating: 0, count: 3 * height * width)
            for y in 0..<height {
                for x in 0..<width {
                    for c in 0..<3 { data[3 * (y * width + x) + c] = base[y * stride + 4 * x + 2 - c] }
                }
            }
            self.init(data: data, height: height, width: width)
        default:
            throw ClassifierError(
                description: "Set the camera's pixel format to kCVPixelFormatType_420YpCbCr8BiPlanarFullRange or 32BGRA.")
        }
    }
}
#endif

#if canImport(UIKit)
import UIKit

extension EdgeClassifier {
    /// The labels of an image, the most probable first, turned as its `imageOrientation` says.
    public func classify(_ image: UIImage) throws -> [Label] {
        guard let pixels = image.cgImage else {
            throw ClassifierError(description: "The image has no bitmap; render it to one.")
        }
        let orientations: [UIImage.Orientation: CGImagePropertyOrientation] = [
            .up: .up, .upMirrored: .upMirrored, .down: .down, .downMirrored: .downMirrored,
            .left: .left, .leftMirrored: .leftMirrored, .right: .right, .rightMirrored: .rightMirrored,
        ]
        return try classify(pixels, orientation: orientations[image.imageOrientation] ?? .up)
    }
}
#endif
