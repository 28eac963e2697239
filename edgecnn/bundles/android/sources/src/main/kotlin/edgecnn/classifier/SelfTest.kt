package edgecnn.classifier

import android.util.Base64
import java.util.zip.CRC32
import kotlin.math.abs
import org.json.JSONObject

/** What does not fit: the model's file, where it is one, the labels, the pixels and outputs of the golden images. */
internal fun problems(classifier: EdgeClassifier, model: ByteArray?, golden: JSONObject): List<String> {
    val found = mutableListOf<String>()
    if (model != null && crc32(model) != golden.getLong("model_crc32")) found += "The model is not the file that was bundled."
    if (classifier.labels != strings(golden.getJSONArray("labels"))) found += "The labels were changed."
    val images = golden.getJSONArray("images")
    for (number in 0 until images.length()) {
        val image = images.getJSONObject(number)
        val pixels = classifier.prepare(Base64.decode(image.getString("png"), Base64.DEFAULT))
        if (crc32(pixels) != image.getLong("pixels_crc32")) found += "Golden image $number: its pixels are prepared otherwise."
        val scores = classifier.scores(pixels)
        val expected = image.getJSONArray("scores")
        val difference = scores.indices.maxOf { abs(scores[it] - expected.getDouble(it)) }
        if (!(difference <= golden.getDouble("bound"))) found += "Golden image $number: its outputs differ by $difference."
    }
    return found
}

internal fun crc32(bytes: ByteArray): Long = CRC32().apply { update(bytes) }.value
