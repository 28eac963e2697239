package edgecnn.classifier

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer

/** The model on ONNX Runtime. */
internal class ModelEngine(asset: (String) -> ByteArray, private val shape: LongArray, threads: Int) : AutoCloseable {
    private val environment = OrtEnvironment.getEnvironment()
    private val session: OrtSession = OrtSession.SessionOptions().use { options ->
        options.setIntraOpNumThreads(threads)
        options.addConfigEntry("session.x64quantprecision", "1") // on an emulator's CPU int8 kernels may saturate
        environment.createSession(asset(MODEL), options)
    }

    /** The outputs for pixels of [height, width, channels]. */
    fun run(pixels: ByteArray): FloatArray {
        val buffer = ByteBuffer.allocateDirect(pixels.size).put(pixels).rewind() as ByteBuffer
        OnnxTensor.createTensor(environment, buffer, shape, OnnxJavaType.UINT8).use { input ->
            session.run(mapOf(session.inputNames.first() to input)).use { outputs ->
                @Suppress("UNCHECKED_CAST")
                return (outputs[0].value as Array<FloatArray>)[0]
            }
        }
    }

    override fun close() = session.close()

    companion object {
        /** The asset that holds the model. */
        const val MODEL = "model.onnx"
    }
}
