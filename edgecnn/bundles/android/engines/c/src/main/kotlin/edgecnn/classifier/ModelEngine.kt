package edgecnn.classifier

private const val LIBRARY = "edgecnn_model"

/** The model as compiled C; it computes on the caller's thread. */
internal class ModelEngine(
    @Suppress("UNUSED_PARAMETER") asset: (String) -> ByteArray,
    @Suppress("UNUSED_PARAMETER") shape: LongArray,
    @Suppress("UNUSED_PARAMETER") threads: Int
) : AutoCloseable {
    /** The outputs for pixels of [height, width, channels]. */
    fun run(pixels: ByteArray): FloatArray =
        checkNotNull(classify(pixels)) { "The model takes other pixels than ${pixels.size} bytes, or memory is short." }

    private external fun classify(pixels: ByteArray): FloatArray?

    override fun close() {}

    companion object {
        /** The asset that holds the model: none, it is compiled. */
        val MODEL: String? = null

        init {
            val built = System.getProperty("edgecnn.library") // in tests on a computer
            if (built != null) System.load(built) else System.loadLibrary(LIBRARY)
        }
    }
}
