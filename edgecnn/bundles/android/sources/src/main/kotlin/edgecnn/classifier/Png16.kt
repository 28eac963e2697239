package edgecnn.classifier

import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import java.io.DataInputStream
import java.io.EOFException
import java.nio.ByteBuffer
import java.util.zip.InflaterInputStream
import java.util.zip.ZipException
import kotlin.math.abs

private val PASSES = listOf(
    intArrayOf(0, 0, 8, 8),
    intArrayOf(4, 0, 8, 8),
    intArrayOf(0, 4, 4, 8),
    intArrayOf(2, 0, 4, 4),
    intArrayOf(0, 2, 2, 4),
    intArrayOf(1, 0, 2, 2),
    intArrayOf(0, 1, 1, 2) // Adam7
)

/** Whether [content] is a PNG file with 16 bits a channel in color: Android rounds those, where the upper 8 bits are meant. */
internal fun isPng16(content: ByteArray): Boolean = content.size > 33 &&
    ByteBuffer.wrap(content).getInt(0) == 0x89504e47.toInt() &&
    content[24].toInt() == 16 &&
    (content[25].toInt() == 2 || content[25].toInt() == 6)

/** The upper 8 bits of each channel, over white (https://www.w3.org/TR/png-3/). */
internal fun decodePng16(content: ByteArray, height: Int, width: Int): Rgb = try {
    val channels = if (content[25].toInt() == 2) 3 else 4
    val compressed = ByteArrayOutputStream()
    var clear: ByteArray? = null
    val file = ByteBuffer.wrap(content)
    var at = 8
    while (at + 8 <= content.size) {
        val (length, name) = file.getInt(at) to String(content, at + 4, 4, Charsets.ISO_8859_1)
        if (name == "IDAT") compressed.write(content, at + 8, length)
        if (name == "tRNS" && channels == 3) clear = ByteArray(3) { content[at + 8 + 2 * it] }
        at += length + 12
    }
    val rows = DataInputStream(InflaterInputStream(ByteArrayInputStream(compressed.toByteArray())))
    val rgb = ByteArray(height * width * 3)
    for ((x0, y0, dx, dy) in if (content[28].toInt() == 1) PASSES else listOf(intArrayOf(0, 0, 1, 1))) {
        val count = (width - x0 + dx - 1) / dx
        if (count <= 0) continue
        var above = ByteArray(count * channels * 2)
        for (y in y0 until height step dy) {
            val filter = rows.read()
            val row = ByteArray(above.size).also(rows::readFully)
            unfilter(filter, row, above, channels * 2)
            for (i in 0 until count) putPixel(row, i * channels * 2, channels, clear, rgb, (y * width + x0 + i * dx) * 3)
            above = row
        }
    }
    Rgb(rgb, height, width)
} catch (error: Exception) {
    if (error !is EOFException && error !is ZipException && error !is IndexOutOfBoundsException) throw error
    throw ImageException("The PNG file is damaged or cut short.")
}

private fun putPixel(row: ByteArray, from: Int, channels: Int, clear: ByteArray?, rgb: ByteArray, to: Int) {
    val isClear = clear != null && (0 until 3).all { row[from + 2 * it] == clear[it] }
    val alpha = when {
        isClear -> 0
        channels == 4 -> row[from + 6].toInt() and 255
        else -> 255
    }
    for (c in 0 until 3) {
        rgb[to + c] = (((row[from + 2 * c].toInt() and 255) * alpha + 255 * (255 - alpha) + 127) / 255).toByte()
    }
}

/** Undo a row's filter in place (PNG, 9.2); [step] is the number of bytes to the left pixel. */
private fun unfilter(filter: Int, row: ByteArray, above: ByteArray, step: Int) {
    if (filter !in 0..4) throw ZipException("filter $filter")
    for (i in row.indices) {
        val a = if (i < step) 0 else row[i - step].toInt() and 255
        val b = above[i].toInt() and 255
        val c = if (i < step) 0 else above[i - step].toInt() and 255
        val predicted = when (filter) {
            1 -> a
            2 -> b
            3 -> (a + b) / 2
            4 -> paeth(a, b, c)
            else -> 0
        }
        row[i] = (row[i] + predicted).toByte()
    }
}

private fun paeth(a: Int, b: Int, c: Int): Int {
    val (pa, pb, pc) = Triple(abs(b - c), abs(a - c), abs(a + b - 2 * c))
    return when {
        pa <= pb && pa <= pc -> a
        pb <= pc -> b
        else -> c
    }
}
