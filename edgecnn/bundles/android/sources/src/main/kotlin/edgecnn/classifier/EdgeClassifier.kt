package edgecnn.classifier

import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import kotlin.math.exp
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import org.json.JSONArray
import org.json.JSONObject

private const val FOLDER = "edgecnn"

/** A label, how probable it is, in [0, 1], and the model's output for it as it is. */
data class Label(val label: String, val probability: Float, val score: Float)

/**
 * The model, ready to use. Its functions suspend and compute on [Dispatchers.Default], never on the main thread; several
 * may be called at once. [close] frees the model.
 */
class EdgeClassifier private constructor(asset: (String) -> ByteArray, threads: Int) : AutoCloseable {
    private val contract = JSONObject(String(asset("contract.json")))

    /** The labels in the order of the model's outputs. */
    val labels: List<String> = strings(contract.getJSONArray("labels"))

    private val shape = contract.getJSONObject("input").getJSONArray("shape").let { sides ->
        longArrayOf(1, sides.getLong(1), sides.getLong(2), sides.getLong(3))
    }
    private val meaning: String = contract.getString("output_meaning")
    private val engine: ModelEngine

    init {
        require(contract.getString("resize") == RESIZE_RULE) { "The model was made by a newer edgecnn; update this code." }
        engine = ModelEngine(asset, shape, threads)
    }

    /**
     * The labels of a bitmap, the most probable first; of any configuration, also one in the GPU's memory. It is turned
     * clockwise by [rotationDegrees], a multiple of 90, as CameraX says it of a frame.
     */
    suspend fun classify(bitmap: Bitmap, rotationDegrees: Int = 0): List<Label> = withContext(Dispatchers.Default) {
        ranked(scores(prepared(turned(rgbOf(bitmap), orientationFor(rotationDegrees)))))
    }

    /** The same of a camera's frame, which must stay open until the labels are there. */
    suspend fun classify(frame: YuvFrame, rotationDegrees: Int = 0): List<Label> = withContext(Dispatchers.Default) {
        ranked(scores(prepared(turned(rgbOf(frame), orientationFor(rotationDegrees)))))
    }

    /** The same of an image file: decoded, turned as EXIF says. Throws [ImageException] for what is no image. */
    suspend fun classify(context: Context, uri: Uri): List<Label> = withContext(Dispatchers.IO) {
        val stream = context.contentResolver.openInputStream(uri) ?: throw ImageException("There is no image $uri.")
        classify(stream.use { it.readBytes() })
    }

    /** The same of an image file's content. */
    suspend fun classify(content: ByteArray): List<Label> = withContext(Dispatchers.Default) {
        ranked(scores(prepare(content)))
    }

    /** An image file as the model takes it: bytes of [height, width, channels]. */
    internal fun prepare(content: ByteArray): ByteArray = prepared(decode(content))

    internal fun prepared(image: Rgb): ByteArray = prepare(image, shape[1].toInt(), shape[2].toInt(), shape[3].toInt())

    /** The model's outputs for pixels as it takes them. */
    internal fun scores(pixels: ByteArray): FloatArray = engine.run(pixels)

    private fun ranked(scores: FloatArray): List<Label> {
        val largest = scores.max()
        val parts = if (meaning == "logits") scores.map { exp(it - largest) } else scores.toList()
        val sum = if (meaning == "logits") parts.sum() else 1f
        return labels.indices.map { Label(labels[it], parts[it] / sum, scores[it]) }.sortedByDescending { it.score }
    }

    override fun close() = engine.close()

    companion object {
        /** The classifier of the app's assets, on so many threads. */
        suspend fun load(context: Context, threads: Int = 1): EdgeClassifier = withContext(Dispatchers.IO) {
            EdgeClassifier(assetsOf(context), threads)
        }

        /** What does not fit on this device, in sentences; empty where the self-test passes. */
        suspend fun selfTest(context: Context): List<String> = withContext(Dispatchers.IO) {
            val asset = assetsOf(context)
            load(context).use { problems(it, ModelEngine.MODEL?.let(asset), JSONObject(String(asset("golden.json")))) }
        }
    }
}

private fun orientationFor(rotationDegrees: Int): Int =
    requireNotNull(mapOf(0 to 1, 90 to 6, 180 to 3, 270 to 8)[rotationDegrees.mod(360)]) {
        "A frame is turned by a multiple of 90 degrees, not by $rotationDegrees."
    }

private fun assetsOf(context: Context) = { name: String -> context.assets.open("$FOLDER/$name").use { it.readBytes() } }

internal fun strings(array: JSONArray): List<String> = List(array.length()) { array.getString(it) }
