package edgecnn.classifier

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** The model on LiteRT; calls wait for each other. */
internal class ModelEngine(asset: (String) -> ByteArray, @Suppress("UNUSED_PARAMETER") shape: LongArray, threads: Int) :
    AutoCloseable {
    private val options = Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true)
    private val interpreter = Interpreter(direct(asset(MODEL)), options)
    private val count = interpreter.getOutputTensor(0).numElements()

    /** The outputs for pixels of [height, width, channels]. */
    @Synchronized
    fun run(pixels: ByteArray): FloatArray {
        val scores = Array(1) { FloatArray(count) }
        interpreter.run(direct(pixels), scores)
        return scores[0]
    }

    @Synchronized
    override fun close() = interpreter.close()

    private fun direct(bytes: ByteArray): ByteBuffer =
        ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply { put(bytes).rewind() }

    companion object {
        /** The asset that holds the model. */
        const val MODEL = "model.tflite"
    }
}
