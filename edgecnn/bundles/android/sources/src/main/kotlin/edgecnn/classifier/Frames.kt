package edgecnn.classifier

import java.nio.ByteBuffer

private const val HALF = 1 shl 15

/** A plane of a camera's frame, as `Image.Plane` and CameraX's `PlaneProxy` describe it: bytes between rows and pixels. */
class Plane(internal val bytes: ByteBuffer, internal val rowStride: Int, internal val pixelStride: Int) {
    internal fun at(row: Int, column: Int): Int = bytes.get(row * rowStride + column * pixelStride).toInt() and 255
}

/** A camera's frame of YUV_420_888: [luma] for every pixel, [blue] (U) and [red] (V) for every two by two. */
class YuvFrame(val height: Int, val width: Int, val luma: Plane, val blue: Plane, val red: Plane)

/** The frame's colors by BT.601 of full range, as Android defines YUV_420_888; four pixels share their U and V. */
internal fun rgbOf(frame: YuvFrame): Rgb {
    val rgb = ByteArray(frame.height * frame.width * 3)
    var at = 0
    for (row in 0 until frame.height) {
        for (column in 0 until frame.width) {
            val y = frame.luma.at(row, column)
            val u = frame.blue.at(row / 2, column / 2) - 128
            val v = frame.red.at(row / 2, column / 2) - 128
            rgb[at++] = clamped(y + rounded(91881 * v))
            rgb[at++] = clamped(y - rounded(22554 * u + 46802 * v))
            rgb[at++] = clamped(y + rounded(116130 * u))
        }
    }
    return Rgb(rgb, frame.height, frame.width)
}

/** A value in 2^-16 to the nearest. */
private fun rounded(value: Int) = (value + HALF) shr 16

private fun clamped(value: Int) = value.coerceIn(0, 255).toByte()
