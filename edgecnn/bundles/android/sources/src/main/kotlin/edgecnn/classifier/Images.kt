package edgecnn.classifier

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val MAX_PIXELS = 100_000_000L
private const val MAX_SIDE = 65_535
private const val ORIENTATION_TAG = 0x0112
private val EXIF_HEAD = "Exif\u0000\u0000".toByteArray(Charsets.ISO_8859_1)

/** An image that cannot be used; the message is one sentence. */
class ImageException(message: String) : Exception(message)

/** The upright pixels of an image file's content. */
internal fun decode(content: ByteArray): Rgb {
    val options = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    BitmapFactory.decodeByteArray(content, 0, content.size, options)
    val (width, height) = options.outWidth to options.outHeight
    if (width <= 0 || height <= 0) throw ImageException("This is not an image that Android decodes, or its beginning is damaged.")
    if (width.toLong() * height > MAX_PIXELS || maxOf(width, height) > MAX_SIDE) {
        throw ImageException("The image has $width x $height pixels, and edgecnn takes up to 100 million; make it smaller.")
    }
    if (isPng16(content)) return turned(decodePng16(content, height, width), orientationIn(content))
    options.inJustDecodeBounds = false
    options.inPreferredConfig = Bitmap.Config.ARGB_8888
    options.inScaled = false
    val bitmap = BitmapFactory.decodeByteArray(content, 0, content.size, options)
        ?: throw ImageException("The image is damaged or cut short; copy or save it again.")
    val image = rgbOf(bitmap)
    bitmap.recycle()
    return turned(image, orientationIn(content))
}

/** The EXIF orientation of a JPEG, PNG or WebP file, 1 where there is none that can be read. */
internal fun orientationIn(content: ByteArray): Int = try {
    exifIn(ByteBuffer.wrap(content))?.let(::orientation) ?: 1
} catch (_: RuntimeException) { // cut short
    1
}

private fun exifIn(file: ByteBuffer): ByteBuffer? = when {
    file.getShort(0).toInt() and 0xffff == 0xffd8 -> exifInJpeg(file)
    file.getInt(0) == 0x89504e47.toInt() -> exifInChunks(file, 8, ByteOrder.BIG_ENDIAN, "eXIf", 4, 12)
    file.getInt(0) == 0x52494646 -> exifInChunks(file, 12, ByteOrder.LITTLE_ENDIAN, "EXIF", 0, 8)
    else -> null
}

private fun exifInJpeg(file: ByteBuffer): ByteBuffer? {
    var at = 2
    while (true) {
        val marker = file.getShort(at).toInt() and 0xffff
        if (marker == 0xffda || marker < 0xff00) return null
        val length = file.getShort(at + 2).toInt() and 0xffff
        if (marker == 0xffe1 && bytes(file, at + 4, 6).contentEquals(EXIF_HEAD)) return part(file, at + 10, length - 8)
        at += 2 + length
    }
}

/** Chunks of PNG have their length before the name and a checksum at the end, those of WebP an even length after it. */
private fun exifInChunks(file: ByteBuffer, start: Int, order: ByteOrder, wanted: String, nameAt: Int, around: Int): ByteBuffer? {
    var at = start
    while (at + 8 <= file.limit()) {
        val length = file.order(order).getInt(at + 4 - nameAt)
        if (String(bytes(file, at + nameAt, 4), Charsets.ISO_8859_1) == wanted) {
            val content = part(file, at + 8, length)
            return if (bytes(content, 0, 6).contentEquals(EXIF_HEAD)) part(content, 6, length - 6) else content
        }
        at += length + around + if (around == 8) length and 1 else 0
    }
    return null
}

private fun bytes(file: ByteBuffer, at: Int, count: Int) = ByteArray(count) { file.get(at + it) }

private fun part(file: ByteBuffer, at: Int, length: Int): ByteBuffer = ByteBuffer.wrap(ByteArray(length) { file.get(at + it) })

/** The tag in the first directory of TIFF data. */
private fun orientation(exif: ByteBuffer): Int {
    exif.order(if (exif.getShort(0).toInt() == 0x4949) ByteOrder.LITTLE_ENDIAN else ByteOrder.BIG_ENDIAN)
    val directory = exif.getInt(4)
    for (i in 0 until exif.getShort(directory).toInt()) {
        val entry = directory + 2 + 12 * i
        if (exif.getShort(entry).toInt() == ORIENTATION_TAG) return exif.getShort(entry + 8).toInt()
    }
    return 1
}
