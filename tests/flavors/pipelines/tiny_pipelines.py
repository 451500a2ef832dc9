"""Pipelines of every task, with random weights of a few kilobytes; nothing is downloaded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]"]
WORDS += ["a", "good", "bad", "day", "dog", "is", "this", "who", "user", ":", "x", "y", "text"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} {% endfor %}a"


def tokenizer(**more: Any) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: at for at, word in enumerate(WORDS)}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        model_max_length=64,
        **more,
    )


def seeded(build: Callable[[], Any]) -> Any:
    import torch

    torch.manual_seed(1)
    return build().eval()


def pipeline(task: str, model: Any, **parts: Any) -> Any:
    import transformers

    return transformers.pipeline(task, model=model, device="cpu", **parts)


def bert(kind: str, task: str, **more: Any) -> Any:
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=64,
        initializer_range=0.5,
        **more,
    )
    model = seeded(lambda: getattr(transformers, kind)(config))
    return pipeline(task, model, tokenizer=tokenizer())


def text_classification() -> Any:
    labels = {0: "NO", 1: "YES", 2: "MAYBE"}
    return bert("BertForSequenceClassification", "text-classification", id2label=labels)


def token_classification() -> Any:
    return bert("BertForTokenClassification", "token-classification", num_labels=3)


def fill_mask() -> Any:
    return bert("BertForMaskedLM", "fill-mask")


def feature_extraction() -> Any:
    return bert("BertModel", "feature-extraction")


def question_answering() -> Any:
    return bert("BertForQuestionAnswering", "question-answering")


def zero_shot_classification() -> Any:
    labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
    return bert(
        "BertForSequenceClassification",
        "zero-shot-classification",
        id2label=labels,
        label2id={name: at for at, name in labels.items()},
    )


def text_generation(template: str | None = TEMPLATE) -> Any:
    import transformers

    config = transformers.GPT2Config(
        vocab_size=len(WORDS),
        n_positions=64,
        n_embd=8,
        n_layer=1,
        n_head=2,
        bos_token_id=5,
        eos_token_id=6,
        pad_token_id=0,
        initializer_range=0.8,
    )
    model = seeded(lambda: transformers.GPT2LMHeadModel(config))
    model.generation_config.max_new_tokens = 6
    return pipeline("text-generation", model, tokenizer=tokenizer(chat_template=template))


def sequence_to_sequence(task: str) -> Any:
    import transformers

    config = transformers.T5Config(
        vocab_size=len(WORDS),
        d_model=8,
        d_kv=4,
        d_ff=8,
        num_layers=1,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=6,
        decoder_start_token_id=5,
        initializer_factor=20.0,
    )
    model = seeded(lambda: transformers.T5ForConditionalGeneration(config))
    model.generation_config.max_new_tokens = 5
    return pipeline(task, model, tokenizer=tokenizer())


def vision(kind: str, task: str) -> Any:
    import transformers

    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=8,
        patch_size=4,
        id2label={0: "cat", 1: "dog", 2: "fish"},
    )
    model = seeded(lambda: getattr(transformers, kind)(config))
    processor = transformers.ViTImageProcessor(size={"height": 8, "width": 8})
    return pipeline(task, model, image_processor=processor)


def object_detection() -> Any:
    import transformers

    config = transformers.YolosConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=[8, 8],
        patch_size=4,
        num_detection_tokens=3,
        use_mid_position_embeddings=False,
        id2label={0: "cat", 1: "dog"},
    )
    model = seeded(lambda: transformers.YolosForObjectDetection(config))
    processor = transformers.YolosImageProcessor(size={"height": 8, "width": 8})
    return pipeline("object-detection", model, image_processor=processor)


def hearing(kind: str, task: str) -> Any:
    import transformers

    config = transformers.Wav2Vec2Config(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        conv_dim=(8,),
        conv_stride=(100,),
        conv_kernel=(200,),
        num_conv_pos_embeddings=2,
        num_conv_pos_embedding_groups=1,
        num_feat_extract_layers=1,
        classifier_proj_size=4,
        id2label={0: "noise", 1: "speech"},
        initializer_range=0.8,
        pad_token_id=0,
    )
    model = seeded(lambda: getattr(transformers, kind)(config))
    extractor = transformers.Wav2Vec2FeatureExtractor()
    if task != "automatic-speech-recognition":
        return pipeline(task, model, feature_extractor=extractor)
    with tempfile.TemporaryDirectory() as folder:
        letters = ["<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "C"]
        file = Path(folder, "vocab.json")
        file.write_text(json.dumps({letter: at for at, letter in enumerate(letters)}))
        spelling = transformers.Wav2Vec2CTCTokenizer(str(file))
    return pipeline(task, model, feature_extractor=extractor, tokenizer=spelling)


def table_question_answering() -> Any:
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EMPTY]", "who", "is", "old"]
    words += ["name", "age", "ann", "bob", "1", "2", "3"]
    config = transformers.TapasConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    model = seeded(lambda: transformers.TapasForQuestionAnswering(config))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vocab.txt")
        file.write_text("\n".join(words))
        reading = transformers.TapasTokenizer(str(file), model_max_length=64)
        return pipeline("table-question-answering", model, tokenizer=reading)


BUILDERS: dict[str, Callable[[], Any]] = {
    "text-generation": text_generation,
    "text2text-generation": lambda: sequence_to_sequence("text2text-generation"),
    "summarization": lambda: sequence_to_sequence("summarization"),
    "translation_en_to_de": lambda: sequence_to_sequence("translation_en_to_de"),
    "question-answering": question_answering,
    "text-classification": text_classification,
    "token-classification": token_classification,
    "fill-mask": fill_mask,
    "zero-shot-classification": zero_shot_classification,
    "feature-extraction": feature_extraction,
    "image-classification": lambda: vision("ViTForImageClassification", "image-classification"),
    "automatic-speech-recognition": lambda: hearing(
        "Wav2Vec2ForCTC", "automatic-speech-recognition"
    ),
    "audio-classification": lambda: hearing(
        "Wav2Vec2ForSequenceClassification", "audio-classification"
    ),
    "table-question-answering": table_question_answering,
    "image-feature-extraction": lambda: vision("ViTModel", "image-feature-extraction"),
}


def is_there(task: str) -> bool:
    """Return whether the library here has pipelines of the task."""
    from transformers.pipelines import get_supported_tasks

    name = "translation" if task.startswith("translation_") else task
    return name in get_supported_tasks()
