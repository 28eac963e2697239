package edgecnn.classifier

import android.content.Context
import java.io.File
import java.nio.ByteBuffer
import kotlinx.coroutines.runBlocking
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.GraphicsMode

/** The self-test on the Java virtual machine: Android's own decoders under Robolectric, and the engine. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class GoldenTest {
    private val context: Context = RuntimeEnvironment.getApplication()

    /** Maven, which knows nothing of Android, brings the assets in a file of their own. */
    @Before
    fun addAssets() {
        val archive = System.getProperty("edgecnn.assets") ?: return
        context.assets.javaClass.getMethod("addAssetPath", String::class.java).invoke(context.assets, archive)
    }

    @Test
    fun theGoldenImagesGiveWhatTheyMust() = runBlocking {
        assertEquals(emptyList<String>(), EdgeClassifier.selfTest(context))
    }

    @Test
    fun anAlteredModelOrLabelIsNoticed() = runBlocking {
        fun asset(name: String) = context.assets.open("edgecnn/$name").use { it.readBytes() }
        val golden = JSONObject(String(asset("golden.json")))
        golden.getJSONArray("labels").put(0, "other")
        EdgeClassifier.load(context).use { classifier ->
            assertTrue("The labels were changed." in problems(classifier, null, golden))
            golden.put("model_crc32", 1)
            assertTrue("The model is not the file that was bundled." in problems(classifier, ByteArray(1), golden))
        }
    }

    @Test
    fun whatIsNoImageIsRefused() = runBlocking {
        EdgeClassifier.load(context).use { classifier ->
            val error = assertThrows(ImageException::class.java) { classifier.prepare("no image".toByteArray()) }
            assertTrue(error.message!!.startsWith("This is not an image"))
        }
    }

    /** With -Dedgecnn.images=FOLDER: writes each file's CRC-32 of pixels as the model takes them, and its outputs. */
    @Test
    fun filesOfAFolderAreListed() = runBlocking {
        val folder = System.getProperty("edgecnn.images")?.ifEmpty { null }?.let(::File) ?: return@runBlocking
        EdgeClassifier.load(context).use { classifier ->
            val lines = folder.listFiles()!!.sorted().filter { it.name != "listed.txt" }.map { file ->
                val image = runCatching { imageOf(file) }.getOrNull() ?: return@map "${file.name} refused"
                val pixels = classifier.prepared(image)
                val scores = classifier.scores(pixels).joinToString(",")
                "${file.name} ${image.height} ${image.width} ${crc32(image.data)} ${crc32(pixels)} $scores"
            }
            File(folder, "listed.txt").writeText(lines.joinToString("\n"))
        }
    }

    private fun imageOf(file: File): Rgb = if (file.extension == "yuv") rgbOf(frameIn(file)) else decode(file.readBytes())

    /** Height, width, and of each plane its size and strides, all of 32 bits; then the planes. */
    private fun frameIn(file: File): YuvFrame {
        val content = ByteBuffer.wrap(file.readBytes())
        val (height, width) = List(2) { content.getInt() }
        val facts = List(3) { List(3) { content.getInt() } }
        val planes = facts.map { (size, rowStride, pixelStride) ->
            Plane(ByteBuffer.wrap(ByteArray(size).also(content::get)), rowStride, pixelStride)
        }
        return YuvFrame(height, width, planes[0], planes[1], planes[2])
    }
}
