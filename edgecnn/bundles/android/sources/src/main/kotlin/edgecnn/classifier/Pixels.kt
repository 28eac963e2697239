package edgecnn.classifier

import android.graphics.Bitmap
import java.nio.ByteBuffer
import kotlin.math.abs
import kotlin.math.max

/** RGB pixels, 8 bits a channel, row by row. */
class Rgb(val data: ByteArray, val height: Int, val width: Int)

private const val ONE = 1 shl 15
internal const val RESIZE_RULE = "antialiased-bilinear-q15"

/** The model's input for an image: resized in integers to [height] x [width], and its luma where [channels] is 1. */
internal fun prepare(image: Rgb, height: Int, width: Int, channels: Int): ByteArray {
    val rows = resizePass(image.data, image.height, image.width, width, image.width * 3, 3, width * 3, 3)
    val rgb = resizePass(rows, width, image.height, height, 3, width * 3, 3, width * 3)
    return if (channels == 3) rgb else luma(rgb)
}

/**
 * The values of a bitmap as they were decoded, over white. Colors are not converted: neither was the training data.
 *
 * A bitmap's premultiplied value is the rounded `color * alpha / 255`, so that adding `255 - alpha` composites it over
 * white without a loss.
 */
internal fun rgbOf(bitmap: Bitmap): Rgb {
    val plain = if (bitmap.config == Bitmap.Config.ARGB_8888) bitmap else copied(bitmap)
    val (height, width) = plain.height to plain.width
    val rgba = bytesOf(plain)
    val rgb = ByteArray(height * width * 3)
    for (y in 0 until height) {
        for (x in 0 until width) {
            val from = y * plain.rowBytes + 4 * x
            val alpha = if (plain.hasAlpha()) rgba[from + 3].toInt() and 255 else 255
            for (c in 0 until 3) {
                val value = rgba[from + CHANNELS[c]].toInt() and 255
                val shown = if (plain.isPremultiplied) value + 255 - alpha else (value * alpha + 255 * (255 - alpha) + 127) / 255
                rgb[(y * width + x) * 3 + c] = shown.toByte()
            }
        }
    }
    if (plain !== bitmap) plain.recycle()
    return Rgb(rgb, height, width)
}

private fun bytesOf(bitmap: Bitmap) =
    ByteArray(bitmap.rowBytes * bitmap.height).also { bitmap.copyPixelsToBuffer(ByteBuffer.wrap(it)) }

/** Where red, green and blue lie in a pixel's bytes: in this order on devices, in the other in tests on a computer. */
private val CHANNELS: IntArray by lazy {
    val blue = Bitmap.createBitmap(intArrayOf(0xff0000ff.toInt()), 1, 1, Bitmap.Config.ARGB_8888)
    if (bytesOf(blue)[0].toInt() == 0) intArrayOf(0, 1, 2) else intArrayOf(2, 1, 0)
}

/** Hardware bitmaps, and those of 16 bits or half floats, as 8 bits a channel. */
private fun copied(bitmap: Bitmap): Bitmap =
    bitmap.copy(Bitmap.Config.ARGB_8888, false) ?: throw ImageException("The bitmap cannot be read; give a smaller one.")

/** The pixels as EXIF [orientation] 1 to 8 wants them shown; any other number is as 1. */
internal fun turned(image: Rgb, orientation: Int): Rgb {
    if (orientation !in 2..8) return image
    val isSwapped = orientation >= 5
    val height = if (isSwapped) image.width else image.height
    val width = if (isSwapped) image.height else image.width
    val data = ByteArray(image.data.size)
    for (y in 0 until height) {
        for (x in 0 until width) {
            val u = if (orientation in setOf(2, 3, 6, 7)) width - 1 - x else x
            val v = if (orientation in setOf(3, 4, 7, 8)) height - 1 - y else y
            val from = 3 * (if (isSwapped) u * image.width + v else v * image.width + u)
            image.data.copyInto(data, 3 * (y * width + x), from, from + 3)
        }
    }
    return Rgb(data, height, width)
}

/** What input pixels from [first] on add to an output pixel, in 2^-15. */
private class Weights(val first: Int, val shares: IntArray)

/** The weights of every output pixel; they sum to 1. */
private fun weights(inputs: Int, outputs: Int): List<Weights> {
    val reach = 2L * max(inputs, outputs)
    val half = (reach / (2 * outputs)).toInt() + 2
    return List(outputs) { i ->
        val center = (2L * i + 1) * inputs
        val middle = (center / (2 * outputs)).toInt()
        val first = max(0, middle - half)
        val triangle = LongArray(minOf(inputs, middle + half + 1) - first) { k ->
            max(0L, reach - abs((2L * (first + k) + 1) * outputs - center))
        }
        val total = triangle.sum()
        var running = 0L
        var before = 0L
        Weights(
            first,
            IntArray(triangle.size) { k ->
                running += triangle[k]
                val now = (2 * running * ONE + total) / (2 * total)
                (now - before).toInt().also { before = now }
            }
        )
    }
}

/** One pass over [lines] lines of [inputs] RGB pixels each; the steps are those between lines and between pixels. */
private fun resizePass(
    data: ByteArray,
    lines: Int,
    inputs: Int,
    outputs: Int,
    line: Int,
    step: Int,
    lineOut: Int,
    stepOut: Int
): ByteArray {
    if (inputs == outputs) return data
    val out = ByteArray(lines * outputs * 3)
    weights(inputs, outputs).forEachIndexed { i, found ->
        for (l in 0 until lines) {
            for (c in 0 until 3) {
                var sum = ONE / 2
                var at = l * line + found.first * step + c
                for (share in found.shares) {
                    if (share != 0) sum += (data[at].toInt() and 255) * share
                    at += step
                }
                out[l * lineOut + i * stepOut + c] = (sum shr 15).toByte()
            }
        }
    }
    return out
}

private fun luma(rgb: ByteArray) = ByteArray(rgb.size / 3) { i ->
    val (r, g, b) = List(3) { rgb[3 * i + it].toInt() and 255 }
    ((19595 * r + 38470 * g + 7471 * b + 32768) shr 16).toByte()
}
