"""Labels and fields taken out of invented texts."""

import tomllib
from pathlib import Path

from exact import F, Picker, show
from sheet import grouped

LABELS = {"positive": ("利好", "Positive"), "negative": ("利空", "Negative"), "neutral": ("中性", "Neutral")}

ASK_LABEL = {
    "zh": ["判断这条消息对相关主体是利好、利空还是中性，并用一句话说明理由。",
           "请给下面的新闻标注情绪（利好、利空或中性），并写出依据。",
           "阅读下文，判断其影响方向，只选利好、利空、中性之一，再说明原因。"],
    "en": ["Is this news positive, negative or neutral for those concerned? Give one sentence of reason.",
           "Label the sentiment of the news below as positive, negative or neutral, and say why.",
           "Read the line, choose one of positive, negative, neutral, and explain the choice."],
}

# Records to be drawn: (topic, name, zh text, en text, fields). A field is (zh name, en name, zh value, en value).
ASK_FIELDS = {
    "zh": ["从下文提取{}，每项一行。", "请找出文中的{}，按“名称：内容”逐行列出。", "把下面文字里的{}整理成字段，一行一个。"],
    "en": ["Extract the {} from the text, one per line.", "List the {} given below, each on a line as \"name: value\".", "Turn the text into fields, one a line: {}."],
}

FIRMS = [("明川建材", "Mingchuan Building Supplies"), ("东岭纺织", "Eastridge Textiles"), ("启航船运", "Launch Shipping"),
         ("禾丰农业", "Goodcrop Farms"), ("瑞石矿业", "Fairstone Mining"), ("听涛酒店", "Surfside Hotels"),
         ("白鹭软件", "Egret Software"), ("枫林家具", "Maplewood Furniture")]
BANKS = [("临江银行", "Riverfront Bank"), ("海港银行", "Harbour Bank"), ("山城银行", "Hilltown Bank"), ("柳岸银行", "Willowbank Savings")]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def date(k):
    """A day and its two forms."""
    m, d = k.pick(range(1, 13)), k.pick(range(1, 29))
    return f"{m}月{d}日", f"{d} {MONTHS[m - 1]}"


def amount(zh, en, value, unit="元"):
    """A money field."""
    if unit == "万元":
        return zh, en, f"{show(F(value), '')}万元", f"${show(F(value), ',')} thousand"
    return zh, en, f"{show(F(value), '')}元", f"${show(F(value), ',')}"


def loan(k):
    (bz, be), (fz, fe), (dz, de) = k.pick(BANKS), k.pick(FIRMS), date(k)
    a, r, y = k.pick(range(200, 3001, 100)), k.pick(["3.6", "4.2", "4.8", "5.1"]), k.pick([2, 3, 5])
    fields = [("贷款人", "lender", bz, be), ("借款人", "borrower", fz, fe), amount("金额", "amount", a, "万元"),
              ("年利率", "yearly rate", f"{r}%", f"{r}%"), ("期限", "term", f"{y}年", f"{y} years"), ("日期", "date", dz, de)]
    return (k.pick([f"{fz}{dz}与{bz}签订借款合同，借入{a}万元，期限{y}年，年利率{r}%，资金用于补充流动资金。",
                    f"{dz}，{bz}向{fz}发放一笔{y}年期贷款，共{a}万元，合同年利率为{r}%。"]),
            k.pick([f"On {de} {fe} signed a loan agreement with {be} for ${a} thousand over {y} years at {r}% a year, to be used as working capital.",
                    f"{be} lent ${a} thousand to {fe} on {de}; the loan runs for {y} years at a contract rate of {r}%."]), fields)


def dividend(k):
    (fz, fe), (dz, de) = k.pick(FIRMS), date(k)
    d, n = k.pick(["0.15", "0.3", "0.45", "0.6"]), k.pick(range(2000, 9001, 500))
    total = F(d) * n
    fields = [("公司", "company", fz, fe), amount("每股股利", "dividend per share", d), amount("派发总额", "total payout", total, "万元"),
              ("股权登记日", "record date", dz, de)]
    return (f"{fz}公告每股派发现金股利{d}元，总股本{n}万股，合计派发{show(total, '')}万元，股权登记日为{dz}。",
            f"{fe} will pay a cash dividend of ${d} on each of its {n} thousand shares, ${show(total, ',')} thousand in all, to holders on record as of {de}.", fields)


def claim(k):
    (fz, fe), (dz, de) = k.pick(FIRMS), date(k)
    loss, pay = k.pick(range(40, 200, 10)), k.pick([10, 15, 20, 25])
    why_z, why_e = k.pick([("暴雨进水", "flooding after heavy rain"), ("仓库火灾", "a warehouse fire"), ("设备短路", "a short circuit"), ("货车侧翻", "an overturned lorry")])
    fields = [("被保险人", "insured", fz, fe), ("事故原因", "cause", why_z, why_e), ("出险日期", "date of loss", dz, de),
              amount("损失", "loss", loss, "万元"), amount("赔款", "payout", loss - pay, "万元")]
    return (f"{fz}于{dz}因{why_z}报案，核定损失{loss}万元，扣除免赔额{pay}万元后，保险公司支付赔款{loss - pay}万元。",
            f"{fe} reported {why_e} on {de}. The loss was assessed at ${loss} thousand, and after a deductible of ${pay} thousand the insurer paid ${loss - pay} thousand.", fields)


def buyback(k):
    (fz, fe), (dz, de) = k.pick(FIRMS), date(k)
    cap, low, p = k.pick(range(500, 5001, 500)), k.pick([6, 8, 12]), k.pick([15, 18, 22])
    fields = [("公司", "company", fz, fe), amount("回购资金上限", "maximum spending", cap, "万元"),
              amount("最高价", "highest price", p), ("截止日期", "end date", dz, de)]
    return (f"{fz}计划以不超过每股{p}元的价格回购股份，资金总额不超过{cap}万元，回购截至{dz}。公告当日收盘价为{low}元。",
            f"{fe} plans to buy back shares at no more than ${p} each, spending at most ${cap} thousand, until {de}. The closing price on the day of the announcement was ${low}.", fields)


def invoice(k):
    (az, ae), (bz, be) = k.pick(FIRMS[:4]), k.pick(FIRMS[4:])
    (dz, de), net, r = date(k), k.pick(range(2000, 30001, 1000)), k.pick([5, 10, 20])
    fields = [("销售方", "seller", az, ae), ("购买方", "buyer", bz, be), amount("不含税金额", "net amount", net),
              amount("税额", "tax", F(net * r, 100)), ("开票日期", "invoice date", dz, de)]
    return (f"{az}于{dz}向{bz}开具发票一张，不含税金额{net}元，税率{r}%，税额{show(F(net * r, 100), '')}元。",
            f"On {de} {ae} issued an invoice to {be}: net amount ${net}, tax rate {r}%, tax ${show(F(net * r, 100), ',')}.", fields)


def transfer(k):
    (bz, be), (dz, de) = k.pick(BANKS), date(k)
    a, f = k.pick(range(500, 20001, 500)), k.pick([2, 5, 8])
    who_z, who_e = k.pick([("学费", "school fees"), ("房租", "rent"), ("货款", "goods"), ("装修款", "renovation")])
    fields = [("银行", "bank", bz, be), ("用途", "purpose", who_z, who_e), amount("转账金额", "amount", a), amount("手续费", "fee", f), ("日期", "date", dz, de)]
    return (f"【{bz}】您{dz}有一笔{who_z}转出，金额{a}元，手续费{f}元，如非本人操作请致电客服。",
            f"{be}: on {de} you transferred ${a} for {who_e}; a fee of ${f} was charged. If this was not you, please call us.", fields)


def bond_issue(k):
    (fz, fe), (dz, de) = k.pick(FIRMS), date(k)
    a, r, y = k.pick(range(1000, 9001, 1000)), k.pick(["3.2", "3.8", "4.5", "5.2"]), k.pick([3, 5, 7])
    fields = [("发行人", "issuer", fz, fe), amount("规模", "size", a, "万元"), ("期限", "term", f"{y}年", f"{y} years"),
              ("票面利率", "coupon rate", f"{r}%", f"{r}%"), ("起息日", "interest start", dz, de)]
    return (f"{fz}完成{y}年期公司债券发行，规模{a}万元，票面利率{r}%，自{dz}起计息，每年付息一次。",
            f"{fe} has placed {y}-year bonds of ${a} thousand with a {r}% coupon paid yearly; interest runs from {de}.", fields)


RECORDS = [("loans", "loan-notice", loan), ("stocks", "dividend-notice", dividend), ("insurance", "claim-notice", claim),
           ("stocks", "buyback-notice", buyback), ("tax", "invoice-text", invoice), ("savings", "transfer-message", transfer),
           ("bonds", "bond-placement", bond_issue)]


def extracts(per_record):
    """(topic, group, name, {lang: (instruction, input, output)}) of every row."""
    table = tomllib.loads(Path(__file__).with_name("news.toml").read_text(encoding="utf-8"))
    for group, (topic, tone, zh, zh_why, en, en_why) in table.items():
        at = Picker(f"news/{group}").below(3)
        yield topic, group, "sentiment", {
            "zh": (ASK_LABEL["zh"][at], zh, f"{LABELS[tone][0]}。理由：{zh_why}"),
            "en": (ASK_LABEL["en"][at], en, f"{LABELS[tone][1]}. {en_why}"),
        }
    for topic, group, draw in RECORDS:
        seen = set()
        for number in range(1, per_record + 1):
            for attempt in range(50):
                k = Picker(f"extract/{group}/{number}/{attempt}")
                zh, en, fields = draw(k)
                if zh not in seen:
                    break
            seen.add(zh)
            # Some of the fields, in the order of the record: an answer must follow the question, not a habit.
            keep = k.pick([3, 4, len(fields)])
            kept = k.shuffled(fields)[:keep]
            chosen = [f for f in fields if f in kept]
            at = k.below(3)
            yield topic, group, f"fields-{number}", {
                "zh": (ASK_FIELDS["zh"][at].format("、".join(f[0] for f in chosen)), zh, "\n".join(f"{f[0]}：{f[2]}" for f in chosen)),
                "en": (ASK_FIELDS["en"][at].format(", ".join(f[1] for f in chosen)), grouped(en), "\n".join(f"{f[1][0].upper()}{f[1][1:]}: {f[3]}" for f in chosen)),
            }
